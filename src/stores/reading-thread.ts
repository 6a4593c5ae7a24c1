/**
 * A store whose readings of much (reports of usage, lists of keys and of the audit log) have a thread and a connection of their own: what
 * may take seconds holds up neither the look for changed keys nor a write. Owns that thread, which is started by the first of them and
 * ends when there was none for a while.
 */
import type { Milliseconds } from '../core/clock.ts';
import { type Store, StoreError } from './store.ts';

const IDLE_MS: Milliseconds = 30_000;

export function withReadingThread(
  store: Store,
  openReader: () => Promise<Store>,
  idleMs: Milliseconds = IDLE_MS,
): Store {
  const thread = new ReadingThread(openReader, idleMs);
  const { keys, usage, audit } = store;
  return {
    keys: {
      revision: () => keys.revision(),
      list: () => thread.read((reader) => reader.keys.list()),
      page: (query) => thread.read((reader) => reader.keys.page(query)),
      namesOf: (ids) => thread.read((reader) => reader.keys.namesOf(ids)),
      named: (idOrName) => keys.named(idOrName),
      readAll: () => keys.readAll(),
      changedSince: (revision) => keys.changedSince(revision),
      add: (record) => keys.add(record),
      change: (known, changes) => keys.change(known, changes),
    },
    usage: {
      add: (rows, batch) => usage.add(rows, batch),
      report: (query) => thread.read((reader) => reader.usage.report(query)),
    },
    audit: {
      add: (entry) => audit.add(entry),
      list: (options) => thread.read((reader) => reader.audit.list(options)),
    },
    close: async () => {
      await Promise.all([thread.close(), store.close()]);
    },
  };
}

class ReadingThread {
  readonly #openReader: () => Promise<Store>;
  readonly #idleMs: Milliseconds;
  #reader: Promise<Store> | undefined;
  #underWay = 0;
  #idle: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(openReader: () => Promise<Store>, idleMs: Milliseconds) {
    this.#openReader = openReader;
    this.#idleMs = idleMs;
  }

  async read<Result>(call: (reader: Store) => Promise<Result>): Promise<Result> {
    clearTimeout(this.#idle);
    this.#underWay += 1;
    try {
      return await call(await this.#opened());
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0 && !this.#isClosed)
        this.#idle = setTimeout(() => void this.#end(), this.#idleMs).unref();
    }
  }

  /** After the readings that are under way. */
  close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#idle);
    return this.#end();
  }

  #opened(): Promise<Store> {
    if (this.#isClosed) return Promise.reject(new StoreError('unavailable', 'The database is closed.'));
    if (this.#reader !== undefined) return this.#reader;
    const reader = this.#openReader();
    this.#reader = reader;
    // The next reading tries again.
    reader.catch(() => {
      if (this.#reader === reader) this.#reader = undefined;
    });
    return reader;
  }

  async #end(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    await (await reader?.catch(() => undefined))?.close();
  }
}
