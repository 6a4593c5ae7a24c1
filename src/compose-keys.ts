/** Creates the ring of keys of a server: those of its configuration and of its store, as they are by now. */
import { KeyRing, type StoredKeys } from './access/key-ring.ts';
import type { KeyStore } from './access/key-store.ts';
import { KeyWatcher } from './access/key-watcher.ts';
import { requireAdminKeysOffLoopback, requireKeysOffLoopback } from './config/access-rules.ts';
import type { Config } from './config/config.ts';
import type { Log } from './core/log.ts';
import { systemClock } from './system-clock.ts';

interface KeysOptions {
  readonly config: Config;
  readonly store: KeyStore;
  readonly log: Log;
  /** Keys that another process of this server has read: then the store is not read before it is watched. */
  readonly held?: StoredKeys | undefined;
  /** After keys of the store have changed. */
  readonly onChange: () => void;
  /** The store holds its first key: before `onChange`. */
  readonly onFirstKey: () => void;
}

interface ServerKeys {
  readonly ring: KeyRing;
  /** It does not watch yet: that begins when what its calls change is there. */
  readonly watcher: KeyWatcher;
}

/** Rejects with a StoreError where the keys can't be read, and with a ConfigError where the server would be open to others. */
export async function createKeys({
  config,
  store,
  log,
  held,
  onChange,
  onFirstKey,
}: KeysOptions): Promise<ServerKeys> {
  const ring = new KeyRing();
  let heldKeys = false;
  const watcher = new KeyWatcher({
    clock: systemClock,
    store,
    ring,
    log,
    onChange: () => {
      if (!heldKeys && ring.storeHeldKeys) {
        heldKeys = true;
        log.info('access.store holds its first key: from now on, every request needs a key');
        onFirstKey();
      }
      onChange();
    },
  });
  if (held === undefined) await watcher.start();
  else {
    ring.setHeld(held);
    watcher.startWithHeld();
  }
  heldKeys = ring.storeHeldKeys;
  requireKeysOffLoopback(config, ring);
  requireAdminKeysOffLoopback(config, ring);
  return { ring, watcher };
}
