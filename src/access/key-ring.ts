/**
 * All keys that open the door, by their hash: those of the configuration and those of the store. Both lists are replaced as a whole
 * when they change. Time is an argument.
 */
import type { Caller } from '../core/caller.ts';
import { callerOfRecord, type KeyRecord } from './key-record.ts';
import { areHashesEqual, hashOfKey } from './key-text.ts';

/** A key of `auth.api_keys` or `auth.admin_keys`. */
export interface ConfiguredKey {
  /** As configured, or its place: `api_keys[0]`. */
  readonly name: string;
  readonly key: string;
}

export type KeyVerdict =
  | { readonly kind: 'known'; readonly caller: Caller }
  | { readonly kind: 'revoked' | 'expired' | 'unknown' };

interface HeldKey {
  readonly hash: string;
  readonly caller: Caller;
  readonly expiresAt: number;
  readonly isRevoked: boolean;
}

const UNKNOWN: KeyVerdict = { kind: 'unknown' };

export class KeyRing {
  #configured = new Map<string, HeldKey>();
  #stored = new Map<string, HeldKey>();
  #storeHeldKeys = false;

  /** There is a key, or the store has ever held one: nobody calls without. */
  get isShut(): boolean {
    return this.#configured.size > 0 || this.#storeHeldKeys;
  }

  /** A key that may administer is there, and is not revoked. */
  get hasAdmin(): boolean {
    return [...this.#configured.values(), ...this.#stored.values()].some(
      ({ caller, isRevoked }) => caller.mayAdmin && !isRevoked,
    );
  }

  setConfigured(
    keys: readonly ConfiguredKey[],
    { mayAdmin }: Pick<Caller, 'mayAdmin'> = { mayAdmin: false },
  ): void {
    this.#configured = new Map(
      keys.map(({ name, key }) => {
        const hash = hashOfKey(key);
        const caller = configuredCaller(name, mayAdmin);
        return [hash, { hash, caller, expiresAt: Number.POSITIVE_INFINITY, isRevoked: false }] as const;
      }),
    );
  }

  /** `records`: revoked ones included. */
  setStored(records: readonly KeyRecord[]): void {
    this.#storeHeldKeys ||= records.length > 0;
    this.#stored = new Map(
      records.flatMap((record) => {
        const caller = callerOfRecord(record);
        return record.secrets.map(({ hash, expiresAt }) => {
          const end = Math.min(
            expiresAt ?? Number.POSITIVE_INFINITY,
            record.expiresAt ?? Number.POSITIVE_INFINITY,
          );
          return [hash, { hash, caller, expiresAt: end, isRevoked: record.revokedAt !== undefined }] as const;
        });
      }),
    );
  }

  /** `now`: since the Unix epoch. A map's time tells nothing about a key: its hash can't be chosen. */
  find(key: string, now: number): KeyVerdict {
    const hash = hashOfKey(key);
    const held = this.#configured.get(hash) ?? this.#stored.get(hash);
    if (held === undefined || !areHashesEqual(held.hash, hash)) return UNKNOWN;
    if (held.isRevoked) return { kind: 'revoked' };
    if (held.expiresAt <= now) return { kind: 'expired' };
    return { kind: 'known', caller: held.caller };
  }
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
