/**
 * `llm-serve check-config`: checks the configuration as the start does, and prints what would be used, without its secrets. Keys of
 * access.store count for its rules, so the store is read where a rule depends on them; nothing is created, and its tables stay as they are.
 */
import { stringify } from 'yaml';
import { KeyRing } from '../access/key-ring.ts';
import {
  accessNotices,
  limitsRate,
  requireAdminKeysOffLoopback,
  requireKeysOffLoopback,
} from '../config/access-rules.ts';
import type { Config } from '../config/config.ts';
import { shownConfig } from '../config/shown-config.ts';
import { printableText } from '../core/log.ts';
import { openStore } from '../stores/open-store.ts';
import { StoreError } from '../stores/store.ts';
import { storeAddressOf } from './opened-store.ts';
import { type Flags, readConfig } from './read-config.ts';

export async function checkConfig(flags: Flags): Promise<number> {
  const { config, warnings } = readConfig(flags);
  const stored = await storedKeysOf(config);
  for (const warning of [...warnings, ...stored.warnings]) say(`warning: ${warning}`);
  if (stored.areKnown) {
    requireKeysOffLoopback(config, stored.ring);
    requireAdminKeysOffLoopback(config, stored.ring);
  }
  for (const notice of accessNotices(config, stored.ring)) say(notice);
  const enabled = limitsRate(config, stored.ring);
  const shown = shownConfig({ ...config, rate_limit: { ...config.rate_limit, enabled } });
  process.stdout.write(printableText(stringify(shown)));
  return 0;
}

interface StoredKeysRead {
  readonly ring: KeyRing;
  /** False: the store can't be read. The start would end with that. */
  readonly areKnown: boolean;
  readonly warnings: readonly string[];
}

async function storedKeysOf(config: Config): Promise<StoredKeysRead> {
  const ring = new KeyRing();
  try {
    const store = await openStore(storeAddressOf(config), 'read');
    try {
      ring.setStored(await store.keys.list());
    } finally {
      await store.close();
    }
    return { ring, areKnown: true, warnings: [] };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return {
      ring,
      areKnown: false,
      warnings: [`The keys in access.store are not known: ${error.message}`],
    };
  }
}

function say(line: string): void {
  process.stderr.write(`${printableText(line)}\n`);
}
