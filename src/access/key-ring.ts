/**
 * All keys that open the door, by the hash of their text: those of the configuration and those of the store. Both lists are replaced as a whole
 * when they change. Time is an argument.
 */
import type { Caller } from '../core/caller.ts';
import { type HeldKey, HeldKeys, type KeyVerdict } from './held-keys.ts';
import { callerOfRecord, type KeyRecord } from './key-record.ts';
import { digestOfHash, digestOfKey } from './key-text.ts';

/** A key of `auth.api_keys` or `auth.admin_keys`. */
export interface ConfiguredKey {
  /** As configured, or its place: `api_keys[0]`. */
  readonly name: string;
  readonly key: string;
}

const UNKNOWN: KeyVerdict = { kind: 'unknown' };
const NEVER = Number.POSITIVE_INFINITY;

export class KeyRing {
  #configured = new HeldKeys([]);
  #stored = new HeldKeys([]);
  #configuredMayAdmin = false;
  #storeHeldAdmin = false;
  #storeHeldKeys = false;
  #active = 0;

  /** There is a key, or the store has ever held one: nobody calls without. */
  get isShut(): boolean {
    return this.#configured.size > 0 || this.#storeHeldKeys;
  }

  /** The store has held a key: those that were revoked or have expired count. */
  get storeHeldKeys(): boolean {
    return this.#storeHeldKeys;
  }

  /** A key that may administer is there, or was: one that was revoked, has expired or may no longer does not open that door to those without. */
  get hasAdmin(): boolean {
    return this.#configuredMayAdmin || this.#storeHeldAdmin;
  }

  /** Keys of the configuration and of the store that are not revoked. */
  get active(): number {
    return this.#configured.size + this.#active;
  }

  /** Whose keys are known now, each once. `now`: since the Unix epoch. */
  callers(now: number): readonly Caller[] {
    const active = [...this.#configured.callers(now), ...this.#stored.callers(now)];
    return [...new Map(active.map((caller) => [caller.id, caller])).values()];
  }

  setConfigured(
    keys: readonly ConfiguredKey[],
    { mayAdmin }: Pick<Caller, 'mayAdmin'> = { mayAdmin: false },
  ): void {
    this.#configured = new HeldKeys(
      keys.map(({ name, key }) => {
        const known = { kind: 'known', caller: configuredCaller(name, mayAdmin) } as const;
        return { digest: digestOfKey(key), known, endsAt: NEVER, ended: known };
      }),
    );
    this.#configuredMayAdmin = mayAdmin && keys.length > 0;
  }

  /** `records`: revoked ones included. */
  setStored(records: readonly KeyRecord[]): void {
    this.#storeHeldKeys ||= records.length > 0;
    this.#storeHeldAdmin ||= records.some(({ everAdmin }) => everAdmin);
    this.#active = records.filter(({ revokedAt }) => revokedAt === undefined).length;
    this.#stored = new HeldKeys(records.flatMap(heldKeysOf));
  }

  /** `now`: since the Unix epoch. */
  find(key: string, now: number): KeyVerdict {
    const digest = digestOfKey(key);
    return this.#configured.find(digest, now) ?? this.#stored.find(digest, now) ?? UNKNOWN;
  }
}

function heldKeysOf(record: KeyRecord): readonly HeldKey[] {
  const caller = callerOfRecord(record);
  const known = { kind: 'known', caller } as const;
  const { revokedAt, expiresAt = NEVER } = record;
  return record.secrets.map(({ hash, expiresAt: replacedAt = NEVER }) => {
    const ended = (kind: 'revoked' | 'expired' | 'replaced', endsAt: number) =>
      ({ digest: digestOfHash(hash), known, endsAt, ended: { kind, caller } }) as const;
    // By the clock of another machine it may have been revoked in the future.
    if (revokedAt !== undefined) return ended('revoked', Number.NEGATIVE_INFINITY);
    return expiresAt <= replacedAt ? ended('expired', expiresAt) : ended('replaced', replacedAt);
  });
}

function configuredCaller(name: string, mayAdmin: boolean): Caller {
  return {
    id: `config:${name}`,
    name,
    source: 'configuration',
    team: undefined,
    labels: {},
    models: undefined,
    highestPriority: undefined,
    limits: {},
    mayAdmin,
  };
}
