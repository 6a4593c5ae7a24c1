/**
 * What can be done to the keys of the store: by the command line and by the admin API. Faults of the store become errors that can be
 * answered. Time and random text are arguments.
 */
import { ServingError } from '../core/errors.ts';
import { StoreError, type StoreFault } from '../core/store-error.ts';
import { type KeySettings, readKeyChanges, readNewKey } from './key-fields.ts';
import type { KeysPage, KeysQuery } from './key-page.ts';
import type { KeyChanges, KeyRecord, KeySecret } from './key-record.ts';
import type { KeyStore } from './key-store.ts';
import { hashOfKey, newKeyId, newKeyText, shownPartOf } from './key-text.ts';

export interface KeyAdministrationOptions {
  readonly store: KeyStore;
  /** Since the Unix epoch. */
  readonly now: () => number;
  readonly newKey?: () => string;
  readonly newId?: () => string;
}

/** A key whose secret was just made: the only time that it is known. */
export interface MadeKey {
  readonly record: KeyRecord;
  readonly key: string;
}

/** A key that exists elsewhere: its text, or what `hashOfKey` makes of it. */
export type ImportedKey = { readonly settings: KeySettings } & ImportedSecret;

export type ImportedSecret = { readonly key: string } | { readonly hash: string };

export function secretHashOf(imported: ImportedSecret): string {
  return 'key' in imported ? hashOfKey(imported.key) : imported.hash;
}

/** A secret that was rotated out is remembered so long, for the message to those who still send it. */
const REMEMBERED_MS = 30 * 24 * 3_600_000;
/** Of older secrets, so many are kept. */
const MAX_OLDER_SECRETS = 8;
/** Each time that a change has to be made anew, another one was made. */
const MAX_ATTEMPTS = 100;

/** The longest time for which a secret that is rotated out is still accepted. */
export const MAX_OVERLAP_SECONDS = 31_536_000;

/** All methods throw `key_not_found`, `name_taken`, `invalid_request`, or `store_unavailable`. */
export class KeyAdministration {
  readonly #store: KeyStore;
  readonly #now: () => number;
  readonly #newKey: () => string;
  readonly #newId: () => string;

  constructor({ store, now, newKey = newKeyText, newId = newKeyId }: KeyAdministrationOptions) {
    this.#store = store;
    this.#now = now;
    this.#newKey = newKey;
    this.#newId = newId;
  }

  /** Revoked ones included. */
  list(): Promise<readonly KeyRecord[]> {
    return answered(this.#store.list());
  }

  /** Undefined: no key has the id `after`. */
  page(query: KeysQuery): Promise<KeysPage | undefined> {
    return answered(this.#store.page(query));
  }

  /** By its id or its name. Of a name that was used again, the key that is not revoked, or the newest. */
  async find(idOrName: string): Promise<KeyRecord> {
    const records = await answered(this.#store.named(idOrName));
    const found =
      records.find(({ id }) => id === idOrName) ??
      records.find(({ name, revokedAt }) => name === idOrName && revokedAt === undefined) ??
      records.findLast(({ name }) => name === idOrName);
    if (found !== undefined) return found;
    throw new ServingError('key_not_found', {
      message: `There is no key ${JSON.stringify(idOrName)}.`,
    });
  }

  /** `fields`: as in NewKeyFields. `id`: where it has to be known before. */
  async create(fields: unknown, id = this.#newId()): Promise<MadeKey> {
    const settings = readNewKey(fields, this.#now());
    const key = this.#newKey();
    const record = this.#recordOf(settings, this.#secretOf(key), id);
    await answered(this.#store.add(record));
    return { record, key };
  }

  /** `fields`: as in KeyChangeFields. */
  async change(idOrName: string, fields: unknown): Promise<KeyRecord> {
    return this.#put(idOrName, (known) => {
      requireUsable(known, 'changed');
      return readKeyChanges(fields, known, this.#now());
    });
  }

  /** A key that is revoked stays as it is. */
  async revoke(idOrName: string): Promise<KeyRecord> {
    return this.#put(idOrName, (known) =>
      isRevoked(known) ? undefined : { revokedAt: known.revokedAt ?? this.#now() },
    );
  }

  /** Gives it another secret. The one before is accepted for `overlapMs` more. */
  async rotate(idOrName: string, { overlapMs }: { readonly overlapMs: number }): Promise<MadeKey> {
    requireOverlap(overlapMs);
    const key = this.#newKey();
    const record = await this.#put(idOrName, (known) => {
      requireUsable(known, 'rotated');
      return { secrets: [this.#secretOf(key), ...olderSecrets(known, overlapMs, this.#now())] };
    });
    return { record, key };
  }

  /** One at a time, in order. `id`: where it has to be known before. A key that is in the store already stays as it is: `invalid_request`. */
  async import(imported: ImportedKey, id = this.#newId()): Promise<KeyRecord> {
    const secret =
      'key' in imported
        ? this.#secretOf(imported.key)
        : { hash: imported.hash, shown: '', createdAt: this.#now(), expiresAt: undefined };
    const record = this.#recordOf(imported.settings, secret, id);
    await answered(this.#store.add(record));
    return record;
  }

  /** `changesOf` is asked again where the key was changed meanwhile, by whatever process: no change undoes another. Undefined: none. */
  async #put(idOrName: string, changesOf: (known: KeyRecord) => KeyChanges | undefined): Promise<KeyRecord> {
    let known = await this.find(idOrName);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const changes = changesOf(known);
      if (changes === undefined) return known;
      try {
        const changed = await this.#store.change(known, changes);
        if (changed !== undefined) return changed;
      } catch (error) {
        if (!(error instanceof StoreError && error.fault === 'changed')) throw answerOf(error);
      }
      known = await this.find(known.id);
    }
    throw new ServingError('store_unavailable', {
      message: `The key ${JSON.stringify(known.name)} is being changed by too many at once. Try again later.`,
    });
  }

  #recordOf(settings: KeySettings, secret: KeySecret, id: string): KeyRecord {
    const { name, team, labels, models, highestPriority, limits, mayAdmin, expiresAt } = settings;
    return {
      id,
      name,
      secrets: [secret],
      team,
      labels,
      models,
      highestPriority,
      limits,
      mayAdmin,
      everAdmin: mayAdmin,
      createdAt: this.#now(),
      expiresAt,
      revokedAt: undefined,
    };
  }

  #secretOf(key: string): KeySecret {
    return {
      hash: hashOfKey(key),
      shown: shownPartOf(key),
      createdAt: this.#now(),
      expiresAt: undefined,
    };
  }
}

/** Throws `invalid_request`. */
export function requireOverlap(overlapMs: number): void {
  if (overlapMs >= 0 && overlapMs <= MAX_OVERLAP_SECONDS * 1000) return;
  throw new ServingError('invalid_request', {
    message: `The overlap is ${overlapMs / 1000} seconds, but must be from 0 to ${MAX_OVERLAP_SECONDS} (365 days).`,
  });
}

/** For good, and nothing is left to do. */
export function isRevoked({ revokedAt, damage }: KeyRecord): boolean {
  return revokedAt !== undefined && damage === undefined;
}

/** For who has to do something about it. */
export function damageText({ id, name, damage }: KeyRecord): string {
  return `The key ${JSON.stringify(name)} (${id}) can’t be read: ${damage}. It is refused; revoke it by its id, and make another one.`;
}

function requireUsable(known: KeyRecord, done: string): void {
  const { name, revokedAt, damage } = known;
  if (damage !== undefined) throw new ServingError('invalid_request', { message: damageText(known) });
  if (revokedAt === undefined) return;
  throw new ServingError('invalid_request', {
    message: `The key ${JSON.stringify(name)} is revoked and can’t be ${done}. Create another one.`,
  });
}

/** Those that are rotated out now, or were. One that is still accepted is never dropped before its time: somebody was promised it. */
function olderSecrets({ name, secrets }: KeyRecord, overlapMs: number, now: number): readonly KeySecret[] {
  const older = secrets
    .map((secret) => ({
      ...secret,
      expiresAt: Math.min(secret.expiresAt ?? Number.POSITIVE_INFINITY, now + overlapMs),
    }))
    .filter(({ expiresAt }) => expiresAt > now - REMEMBERED_MS);
  const accepted = older.filter(({ expiresAt }) => expiresAt > now);
  if (accepted.length > MAX_OLDER_SECRETS)
    throw new ServingError('invalid_request', {
      message: `The key ${JSON.stringify(name)} has ${accepted.length} secrets that are still accepted, and can’t have more. Rotate it without overlap, or later.`,
    });
  const ended = older.filter(({ expiresAt }) => expiresAt <= now);
  return [...accepted, ...ended].slice(0, MAX_OLDER_SECRETS);
}

/** Undefined: a fault of the store itself. */
const CODE_OF_FAULT: Readonly<Partial<Record<StoreFault, 'name_taken' | 'invalid_request'>>> = {
  name_taken: 'name_taken',
  secret_taken: 'invalid_request',
};

async function answered<Value>(work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (error) {
    throw answerOf(error);
  }
}

/** What a StoreError is answered with; other errors as they are. Its own words go to the log: they may name a path or a host. */
function answerOf(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  const code = CODE_OF_FAULT[error.fault];
  if (code === undefined) return new ServingError('store_unavailable', { cause: error });
  return new ServingError(code, { message: error.message, cause: error });
}
