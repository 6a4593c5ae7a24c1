/**
 * Changes of keys, by whatever way they come: each is written to the audit log before it is made, and not made where that fails; where it
 * fails itself, a second entry says so. Time is an argument.
 */
import { toServingError } from '../core/errors.ts';
import type { AuditActor, AuditTrail } from './audit-trail.ts';
import {
  type ImportedKey,
  isRevoked,
  type KeyAdministration,
  type MadeKey,
  requireOverlap,
  secretHashOf,
} from './key-administration.ts';
import { type KeyChangeRequest, readKeyChanges, readNewKey } from './key-fields.ts';
import type { KeyRecord } from './key-record.ts';
import { newKeyId } from './key-text.ts';

type Details = Readonly<Record<string, unknown>>;

/** `facts`: more about who it is, for the entry's details. */
export interface KeyActor extends AuditActor {
  readonly facts?: Details;
}

interface AuditedKeysOptions {
  readonly keys: KeyAdministration;
  readonly audit: Pick<AuditTrail, 'require' | 'note'>;
  /** Since the Unix epoch. */
  readonly now: () => number;
}

interface KeyAction<Value> {
  readonly action: string;
  /** The key's id. */
  readonly subject: string;
  readonly details: Details;
  readonly perform: () => Promise<Value>;
}

/** All methods throw as those of KeyAdministration. Fields are checked before anything is written: a secret may stand in the wrong one. */
export class AuditedKeys {
  readonly #options: AuditedKeysOptions;

  constructor(options: AuditedKeysOptions) {
    this.#options = options;
  }

  async create(by: KeyActor, fields: unknown): Promise<MadeKey> {
    const { keys, now } = this.#options;
    const id = newKeyId();
    const details = wireFieldsOf(readNewKey(fields, now()));
    return this.#audited(by, {
      action: 'key.create',
      subject: id,
      details,
      perform: () => keys.create(fields, id),
    });
  }

  async change(by: KeyActor, idOrName: string, fields: unknown): Promise<KeyRecord> {
    const { keys, now } = this.#options;
    const known = await keys.find(idOrName);
    const changes = wireFieldsOf(readKeyChanges(fields, known, now()));
    const { labels, limits } = fields as KeyChangeRequest;
    // As they were asked for: what they are afterwards, others may change meanwhile.
    const changed = {
      ...changes,
      ...(labels !== undefined && { labels }),
      ...(limits !== undefined && { limits }),
    };
    return this.#audited(by, {
      action: 'key.change',
      subject: known.id,
      details: { name: known.name, changed },
      perform: () => keys.change(known.id, fields),
    });
  }

  async revoke(by: KeyActor, idOrName: string): Promise<KeyRecord> {
    const { keys } = this.#options;
    const known = await keys.find(idOrName);
    if (isRevoked(known)) return known;
    const { id, name } = known;
    return this.#audited(by, {
      action: 'key.revoke',
      subject: id,
      details: { name },
      perform: () => keys.revoke(id),
    });
  }

  async rotate(
    by: KeyActor,
    idOrName: string,
    { overlapMs }: { readonly overlapMs: number },
  ): Promise<MadeKey> {
    const { keys } = this.#options;
    requireOverlap(overlapMs);
    const { id, name } = await keys.find(idOrName);
    return this.#audited(by, {
      action: 'key.rotate',
      subject: id,
      details: { name, overlap_seconds: overlapMs / 1000 },
      perform: () => keys.rotate(id, { overlapMs }),
    });
  }

  /** In order. Resolves with those that were not in the store yet. */
  async import(by: KeyActor, entries: readonly ImportedKey[]): Promise<readonly KeyRecord[]> {
    const { keys } = this.#options;
    const held = new Set((await keys.list()).flatMap(({ secrets }) => secrets.map(({ hash }) => hash)));
    const added: KeyRecord[] = [];
    for (const entry of entries) {
      const hash = secretHashOf(entry);
      if (held.has(hash)) continue;
      held.add(hash);
      const id = newKeyId();
      const record = await this.#audited(by, {
        action: 'key.import',
        subject: id,
        details: wireFieldsOf(entry.settings),
        perform: () => keys.import(entry, id),
      });
      added.push(record);
    }
    return added;
  }

  async #audited<Value>(
    { actor, address, facts = {} }: KeyActor,
    { action, subject, details, perform }: KeyAction<Value>,
  ): Promise<Value> {
    const { audit } = this.#options;
    const entry = { actor, address, action, subject, details: { ...details, ...facts } };
    await audit.require(entry);
    try {
      return await perform();
    } catch (error) {
      const failed = toServingError(error).code;
      await audit.note({ ...entry, details: { ...entry.details, failed } });
      throw error;
    }
  }
}

/** What is set, by the names of the wire; a setting that is taken away is null. */
function wireFieldsOf(settings: Partial<KeyRecord>): Details {
  const entries = Object.entries(settings).map(([name, value]) => {
    const wireName = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const isTime = name === 'expiresAt' && typeof value === 'number';
    return [wireName, isTime ? new Date(value).toISOString() : (value ?? null)];
  });
  return Object.fromEntries(entries);
}
