/**
 * All keys that open the door, by the hash of their text: those of the configuration, which are replaced as a whole when they change, and
 * those of the store. Time is an argument.
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

export interface StoredKey {
  /** One for each of its secrets. */
  readonly held: readonly HeldKey[];
  readonly isActive: boolean;
}

/** What a ring has of the store: for another ring. */
export interface StoredKeys {
  /** By their ids. */
  readonly keys: readonly (readonly [id: string, key: StoredKey])[];
  readonly storeHeldKeys: boolean;
  readonly storeHeldAdmin: boolean;
}

interface PageOptions {
  readonly most: number;
  /** Since the Unix epoch. */
  readonly now: number;
}

export interface CallersPage {
  readonly callers: readonly Caller[];
  /** Theirs, but those of keys on the pages before. */
  readonly teams: readonly string[];
  /** The id behind which the next page begins; undefined: this is the last one. */
  readonly next: string | undefined;
}

export class KeyRing {
  #configured = new HeldKeys([]);
  #configuredKeys: readonly HeldKey[] = [];
  #stored = new HeldKeys([]);
  /** By the id of the key. */
  #storedKeys = new Map<string, StoredKey>();
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

  /** Whose keys are known now, each once: those of the configuration first. `now`: since the Unix epoch. */
  callers(now: number): readonly Caller[] {
    return [...this.#callersById(now)].flatMap(([, caller]) => caller ?? []);
  }

  /** The next of those behind the key with that id, which may have ended since. Undefined: there is none with that id. */
  callersAfter(after: string | undefined, { most, now }: PageOptions): CallersPage | undefined {
    const callers: Caller[] = [];
    const teams = new Set<string>();
    const teamsBefore = new Set<string>();
    let isBehind = after === undefined;
    for (const [id, caller] of this.#callersById(now)) {
      const team = caller?.team;
      if (!isBehind) {
        if (team !== undefined) teamsBefore.add(team);
        isBehind = id === after;
      } else if (caller !== undefined) {
        if (callers.length === most) return { callers, teams: [...teams], next: callers.at(-1)?.id };
        callers.push(caller);
        if (team !== undefined && !teamsBefore.has(team)) teams.add(team);
      }
    }
    return isBehind ? { callers, teams: [...teams], next: undefined } : undefined;
  }

  /** Undefined: the key is not known now. */
  *#callersById(now: number): Generator<readonly [string, Caller | undefined]> {
    yield* new Map(this.#configuredKeys.map(({ known: { caller } }) => [caller.id, caller]));
    for (const [id, { held }] of this.#storedKeys) {
      yield [id, held.find(({ endsAt }) => endsAt > now)?.known.caller];
    }
  }

  setConfigured(
    keys: readonly ConfiguredKey[],
    { mayAdmin }: Pick<Caller, 'mayAdmin'> = { mayAdmin: false },
  ): void {
    this.#configuredKeys = keys.map(({ name, key }) => {
      const known = { kind: 'known', caller: configuredCaller(name, mayAdmin) } as const;
      return { digest: digestOfKey(key), known, endsAt: NEVER, ended: known };
    });
    this.#configured = new HeldKeys(this.#configuredKeys);
    this.#configuredMayAdmin = mayAdmin && keys.length > 0;
  }

  /** `records`: all that the store has, revoked ones included. */
  setStored(records: readonly KeyRecord[]): void {
    this.#storedKeys = new Map();
    this.#active = 0;
    for (const record of records) this.#keep(record);
    this.#stored = new HeldKeys([...this.#storedKeys.values()].flatMap(({ held }) => held));
  }

  /** As they are now: later changes do not reach it. */
  get stored(): StoredKeys {
    return {
      keys: [...this.#storedKeys],
      storeHeldKeys: this.#storeHeldKeys,
      storeHeldAdmin: this.#storeHeldAdmin,
    };
  }

  /** As another ring of the same store has them. */
  setHeld({ keys, storeHeldKeys, storeHeldAdmin }: StoredKeys): void {
    this.#storedKeys = new Map(keys);
    this.#active = keys.reduce((active, [, { isActive }]) => active + Number(isActive), 0);
    this.#storeHeldKeys ||= storeHeldKeys;
    this.#storeHeldAdmin ||= storeHeldAdmin;
    this.#stored = new HeldKeys(keys.flatMap(([, { held }]) => held));
  }

  /** `records`: those that were added or changed; all others stay. */
  changeStored(records: readonly KeyRecord[]): void {
    // All of them first: a secret may have gone from one key to another.
    for (const { id } of records)
      for (const { digest } of this.#storedKeys.get(id)?.held ?? []) this.#stored.drop(digest);
    for (const record of records) for (const key of this.#keep(record)) this.#stored.put(key);
  }

  #keep(record: KeyRecord): readonly HeldKey[] {
    const held = heldKeysOf(record);
    const isActive = record.revokedAt === undefined && record.damage === undefined;
    const wasActive = this.#storedKeys.get(record.id)?.isActive === true;
    this.#active += Number(isActive) - Number(wasActive);
    this.#storedKeys.set(record.id, { held, isActive });
    this.#storeHeldKeys = true;
    this.#storeHeldAdmin ||= record.everAdmin;
    return held;
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
  const { revokedAt, damage, expiresAt = NEVER } = record;
  return record.secrets.map(({ hash, expiresAt: replacedAt = NEVER }) => {
    const ended = (kind: 'revoked' | 'expired' | 'replaced' | 'unreadable', endsAt: number) =>
      ({ digest: digestOfHash(hash), known, endsAt, ended: { kind, caller } }) as const;
    // By the clock of another machine it may have been revoked in the future.
    if (revokedAt !== undefined) return ended('revoked', Number.NEGATIVE_INFINITY);
    if (damage !== undefined) return ended('unreadable', Number.NEGATIVE_INFINITY);
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
