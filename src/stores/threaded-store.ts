/**
 * A store whose database is open on a thread of its own: neither a slow disk, nor a lock of another process, nor a driver that fails stops
 * the event loop or the process. Owns the thread and the calls that wait for it. A thread that ended by itself is started again by the
 * next call.
 */
import { Worker } from 'node:worker_threads';
import type { KeyName, KeysPage, KeysQuery } from '../access/key-page.ts';
import type { KeyChanges, KeyRecord } from '../access/key-record.ts';
import type { KeysAtRevision } from '../access/key-store.ts';
import type { UsageQuery } from '../usage/usage-row.ts';
import { textsOf } from './sql/sql-usage.ts';
import {
  type AuditEntry,
  type AuditLog,
  type KeyStore,
  type Store,
  StoreError,
  type StoreFault,
  type StoreOpening,
  type UsageStore,
} from './store.ts';

/** What the thread is started with. */
export interface StoreThread {
  /** The file that the thread runs, which calls `serveStore`. */
  readonly entry: URL;
  readonly workerData: unknown;
  /** The database, in errors: without its password. */
  readonly shown: string;
}

export type StoreCall =
  | { readonly name: 'keys.revision' | 'keys.list' | 'keys.readAll' | 'close' }
  | { readonly name: 'open'; readonly mayCreate: boolean }
  | { readonly name: 'keys.page'; readonly query: KeysQuery }
  | { readonly name: 'keys.namesOf'; readonly ids: readonly string[] }
  | { readonly name: 'keys.named'; readonly idOrName: string }
  | { readonly name: 'keys.changedSince'; readonly revision: number }
  | { readonly name: 'keys.add'; readonly record: KeyRecord }
  | { readonly name: 'keys.change'; readonly known: KeyRecord; readonly changes: KeyChanges }
  | { readonly name: 'usage.add'; readonly texts: readonly string[]; readonly batch: string }
  | { readonly name: 'usage.report'; readonly query: UsageQuery }
  | { readonly name: 'audit.add'; readonly entry: AuditEntry }
  | { readonly name: 'audit.list'; readonly options: Parameters<AuditLog['list']>[0] };

export type StoreAnswer =
  | { readonly id: number; readonly result: unknown }
  /** A result in JSON: where it is of many thousand objects, that takes half the time. */
  | { readonly id: number; readonly text: string }
  /** No fault: an error of our own code, with its stack. */
  | { readonly id: number; readonly fault: StoreFault | undefined; readonly message: string };

interface WaitingCall {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

export class ThreadedStore implements Store {
  readonly keys: KeyStore;
  readonly usage: UsageStore;
  readonly audit: AuditLog;
  readonly #thread: StoreThread;
  readonly #waiting = new Map<number, WaitingCall>();
  #worker: Worker | undefined;
  #calls = 0;
  /** Until it was there: one that is gone since is not made again, empty. */
  #mayCreate: boolean;
  #closed = false;

  private constructor(thread: StoreThread, opening: StoreOpening) {
    this.#thread = thread;
    this.#mayCreate = opening === 'now';
    this.keys = {
      revision: () => this.#call<number>({ name: 'keys.revision' }),
      list: () => this.#call<readonly KeyRecord[]>({ name: 'keys.list' }),
      page: (query) => this.#call<KeysPage | undefined>({ name: 'keys.page', query }),
      namesOf: (ids) => this.#call<readonly KeyName[]>({ name: 'keys.namesOf', ids }),
      named: (idOrName) => this.#call<readonly KeyRecord[]>({ name: 'keys.named', idOrName }),
      readAll: () => this.#call<KeysAtRevision>({ name: 'keys.readAll' }),
      changedSince: (revision) =>
        this.#call<KeysAtRevision | undefined>({ name: 'keys.changedSince', revision }),
      add: (record) => this.#call<void>({ name: 'keys.add', record }),
      change: (known, changes) => this.#call<KeyRecord | undefined>({ name: 'keys.change', known, changes }),
    };
    this.usage = {
      add: async (rows, batch) => this.#call<void>({ name: 'usage.add', texts: await textsOf(rows), batch }),
      report: (query) => this.#call({ name: 'usage.report', query }),
    };
    this.audit = {
      add: (entry) => this.#call<void>({ name: 'audit.add', entry }),
      list: (options) => this.#call({ name: 'audit.list', options }),
    };
  }

  /** Rejects with a StoreError. */
  static async open(thread: StoreThread, opening: StoreOpening = 'now'): Promise<ThreadedStore> {
    const store = new ThreadedStore(thread, opening);
    if (opening === 'later') return store;
    try {
      await store.#opened();
    } catch (error) {
      await store.close();
      throw error;
    }
    return store;
  }

  /** After the calls that were made before. */
  async close(): Promise<void> {
    if (this.#closed) return;
    const worker = this.#worker;
    const closed = worker === undefined ? undefined : this.#send(worker, { name: 'close' });
    this.#closed = true;
    await closed?.catch(() => {});
    this.#worker = undefined;
    await worker?.terminate();
  }

  async #call<Result>(call: StoreCall): Promise<Result> {
    if (this.#closed) throw new StoreError('unavailable', `${this.#thread.shown} is closed.`);
    const worker = this.#worker ?? (await this.#opened());
    return this.#send<Result>(worker, call);
  }

  /** Starts the thread; calls made meanwhile wait behind its first. */
  async #opened(): Promise<Worker> {
    const worker = this.#startThread();
    this.#worker = worker;
    try {
      await this.#send(worker, { name: 'open', mayCreate: this.#mayCreate });
      this.#mayCreate = false;
    } catch (error) {
      this.#ended(worker, error);
      await worker.terminate();
      throw error;
    }
    return worker;
  }

  #startThread(): Worker {
    const worker = new Worker(this.#thread.entry, {
      workerData: this.#thread.workerData,
      env: {},
      execArgv: [],
    });
    worker.unref();
    worker.on('message', (answer: StoreAnswer) => this.#answered(worker, answer));
    worker.on('error', (error) => this.#ended(worker, error));
    worker.on('exit', () => this.#ended(worker, undefined));
    return worker;
  }

  /** The thread keeps the process alive only while a call waits. */
  #send<Result>(worker: Worker, call: StoreCall): Promise<Result> {
    this.#calls += 1;
    const id = this.#calls;
    return new Promise<Result>((resolve, reject) => {
      this.#waiting.set(id, { resolve: (result) => resolve(result as Result), reject });
      worker.ref();
      worker.postMessage({ id, call });
    });
  }

  #answered(worker: Worker, answer: StoreAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) worker.unref();
    if ('result' in answer) waiting?.resolve(answer.result);
    else if ('text' in answer) waiting?.resolve(JSON.parse(answer.text));
    else if (answer.fault !== undefined) waiting?.reject(new StoreError(answer.fault, answer.message));
    else waiting?.reject(new Error(answer.message));
  }

  #ended(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const error =
      cause instanceof StoreError
        ? cause
        : new StoreError('unavailable', `The thread that has ${this.#thread.shown} open has ended.`, {
            cause,
          });
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
