/** A store that forgets: for servers that shall leave no file, and for tests. */
import {
  hasWords,
  type KeyName,
  type KeysPage,
  type KeysQuery,
  pageOf,
  wordsOfFilter,
} from '../access/key-page.ts';
import { changedRecord, type KeyChanges, type KeyRecord } from '../access/key-record.ts';
import type { KeysAtRevision } from '../access/key-store.ts';
import { NOTHING_USED, type UsageMeasures } from '../core/usage-measures.ts';
import type { UsageDimension, UsageQuery, UsageRow, UsageSum } from '../usage/usage-row.ts';
import {
  type AuditEntry,
  type AuditLog,
  type KeyStore,
  nameTaken,
  requireUnchanged,
  type Store,
  secretTaken,
  type UsageStore,
} from './store.ts';

export class MemoryStore implements Store {
  readonly keys: KeyStore = new MemoryKeys();
  readonly usage: UsageStore = new MemoryUsage();
  readonly audit: AuditLog = new MemoryAudit();

  async close(): Promise<void> {}
}

class MemoryKeys implements KeyStore {
  readonly #records = new Map<string, KeyRecord>();
  /** By the id of the key: after its last change. */
  readonly #revisions = new Map<string, number>();
  #revision = 0;

  async revision(): Promise<number> {
    return this.#revision;
  }

  async list(): Promise<readonly KeyRecord[]> {
    return [...this.#records.values()];
  }

  async page({ after, limit, filter, withRevoked }: KeysQuery): Promise<KeysPage | undefined> {
    if (after !== undefined && !this.#records.has(after)) return undefined;
    const words = wordsOfFilter(filter);
    const found: KeyRecord[] = [];
    let isBehind = after === undefined;
    for (const record of this.#records.values()) {
      if (found.length > limit) break;
      if (isBehind && (withRevoked || record.revokedAt === undefined) && hasWords(record, words))
        found.push(record);
      isBehind ||= record.id === after;
    }
    return pageOf(found, limit);
  }

  async namesOf(ids: readonly string[]): Promise<readonly KeyName[]> {
    return ids.flatMap((id) => {
      const record = this.#records.get(id);
      return record === undefined ? [] : { id, name: record.name };
    });
  }

  async named(idOrName: string): Promise<readonly KeyRecord[]> {
    return [...this.#records.values()].filter(({ id, name }) => id === idOrName || name === idOrName);
  }

  async readAll(): Promise<KeysAtRevision> {
    return { revision: this.#revision, records: await this.list() };
  }

  async changedSince(revision: number): Promise<KeysAtRevision> {
    const isChanged = ({ id }: KeyRecord) => (this.#revisions.get(id) ?? 0) > revision;
    return { revision: this.#revision, records: [...this.#records.values()].filter(isChanged) };
  }

  async add(record: KeyRecord): Promise<void> {
    this.#requireUnique(record);
    this.#keep(record);
  }

  async change(known: KeyRecord, changes: KeyChanges): Promise<KeyRecord | undefined> {
    const stored = this.#records.get(known.id);
    if (stored === undefined) return undefined;
    requireUnchanged(stored, known);
    const changed = changedRecord(stored, changes);
    this.#requireUnique(changed);
    this.#keep(changed);
    return changed;
  }

  #keep(record: KeyRecord): void {
    this.#records.set(record.id, record);
    this.#revision += 1;
    this.#revisions.set(record.id, this.#revision);
  }

  #requireUnique(record: KeyRecord): void {
    const hashes = new Set(record.secrets.map(({ hash }) => hash));
    for (const other of this.#records.values()) {
      if (other.id === record.id) continue;
      if (other.secrets.some(({ hash }) => hashes.has(hash))) throw secretTaken();
      if (record.revokedAt === undefined && other.revokedAt === undefined && other.name === record.name)
        throw nameTaken(record.name);
    }
  }
}

/** Of a busy month with a hundred keys. The oldest are forgotten first. */
const MAX_USAGE_ROWS = 100_000;
/** Batches that may come again. */
const MAX_BATCHES = 1000;

class MemoryUsage implements UsageStore {
  /** By what they are added up by; the oldest first. */
  readonly #rows = new Map<string, UsageRow>();
  readonly #batches = new Set<string>();

  async add(rows: readonly UsageRow[], batch: string): Promise<void> {
    if (this.#batches.has(batch)) return;
    this.#batches.add(batch);
    for (const row of rows) {
      const key = JSON.stringify([row.hour, row.caller, row.team, row.model, row.target]);
      const known = this.#rows.get(key);
      this.#rows.set(key, known === undefined ? row : { ...row, ...measuresOf(known, row) });
    }
    forgetOldest(this.#rows, MAX_USAGE_ROWS);
    forgetOldest(this.#batches, MAX_BATCHES);
  }

  async report({ by, from, to, caller, team }: UsageQuery): Promise<readonly UsageSum[]> {
    const sums = new Map<string, UsageSum>();
    for (const row of this.#rows.values()) {
      if (row.hour < from || row.hour >= to) continue;
      if ((caller !== undefined && row.caller !== caller) || (team !== undefined && row.team !== team))
        continue;
      const values = by.map((dimension) => VALUE_OF[dimension](row));
      const key = JSON.stringify(values);
      sums.set(key, added(sums.get(key) ?? { by: values, ...NOTHING_USED }, row));
    }
    return [...sums.keys()].sort().flatMap((key) => sums.get(key) ?? []);
  }
}

const VALUE_OF: Readonly<Record<UsageDimension, (row: UsageRow) => string>> = {
  key: ({ caller }) => caller,
  team: ({ team }) => team,
  model: ({ model }) => model,
  target: ({ target }) => target,
  day: ({ hour }) => new Date(hour).toISOString().slice(0, 'YYYY-MM-DD'.length),
  hour: ({ hour }) => new Date(hour).toISOString().slice(0, 'YYYY-MM-DDTHH'.length),
};

function added(sum: UsageSum, row: UsageRow): UsageSum {
  return { by: sum.by, ...measuresOf(sum, row) };
}

function measuresOf(one: UsageMeasures, other: UsageMeasures): UsageMeasures {
  return {
    requests: one.requests + other.requests,
    errors: one.errors + other.errors,
    rejections: one.rejections + other.rejections,
    promptTokens: one.promptTokens + other.promptTokens,
    cachedTokens: one.cachedTokens + other.cachedTokens,
    completionTokens: one.completionTokens + other.completionTokens,
    costNano: one.costNano + other.costNano,
    slotMs: one.slotMs + other.slotMs,
  };
}

function forgetOldest(entries: Map<string, unknown> | Set<string>, kept: number): void {
  for (const key of entries.keys()) {
    if (entries.size <= kept) return;
    entries.delete(key);
  }
}

/** The oldest are forgotten first. */
const MAX_AUDIT_ENTRIES = 10_000;

class MemoryAudit implements AuditLog {
  readonly #entries: AuditEntry[] = [];

  async add(entry: AuditEntry): Promise<void> {
    this.#entries.push(entry);
    if (this.#entries.length > MAX_AUDIT_ENTRIES) this.#entries.shift();
  }

  async list({
    limit,
    before = Number.POSITIVE_INFINITY,
  }: Parameters<AuditLog['list']>[0]): Promise<readonly AuditEntry[]> {
    return this.#entries
      .filter(({ at }) => at < before)
      .reverse()
      .slice(0, limit);
  }
}
