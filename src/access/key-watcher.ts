/**
 * Keeps the ring as the store has it: looks twice a second whether a key was added or changed, by any process, and reads those that were.
 * While the store fails, the last known keys stay in force. A request never waits for it.
 */
import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { damageText } from './key-administration.ts';
import type { KeyRecord } from './key-record.ts';
import type { KeyRing } from './key-ring.ts';
import type { KeyStore } from './key-store.ts';

const POLL_MS = 500;

export interface KeyWatcherOptions {
  readonly clock: Clock;
  readonly store: Pick<KeyStore, 'revision' | 'readAll' | 'changedSince'>;
  readonly ring: KeyRing;
  readonly log: Log;
  /** After the ring was changed. */
  readonly onChange?: () => void;
}

export class KeyWatcher {
  readonly #options: KeyWatcherOptions;
  /** Of the keys that the ring has. */
  #revision: number | undefined;
  /** The ring has the keys of the store, as they were at some time. */
  #hasKeys = false;
  #timer: Timer | undefined;
  /** Ids of keys that can't be read, of which the log has been told. */
  #damaged = new Set<string>();
  /** It has failed since all keys were read: it may be another one by now, such as a replica that has lost the last changes. */
  #hasFailed = false;
  #isUp = true;
  #isClosed = false;

  constructor(options: KeyWatcherOptions) {
    this.#options = options;
  }

  /** Whether the store answered when it was last asked. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Reads the keys. Rejects with a StoreError where the store can't be read. */
  async start(): Promise<void> {
    await this.#read();
  }

  /** The ring has been given keys that another process has read. All are read when the store is first looked at: it may be another one. */
  startWithHeld(): void {
    this.#hasKeys = true;
  }

  /** From now on `onChange` is called; what has changed since the start comes first. To be called once. */
  watch(): void {
    this.#schedule();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    if (!this.#isClosed) this.#timer = this.#options.clock.schedule(POLL_MS, () => void this.#poll());
  }

  /** The next one comes after this one, however long it takes. */
  async #poll(): Promise<void> {
    try {
      await this.#read();
      this.#setUp(true);
    } catch (error) {
      this.#hasFailed = true;
      this.#setUp(false, error);
    } finally {
      this.#schedule();
    }
  }

  /**
   * Each answer may come over another connection, and from another machine. So what is remembered is the revision that came with the keys,
   * in one answer, and not that which was asked for first.
   */
  async #read(): Promise<void> {
    const { store, onChange } = this.#options;
    const revision = await store.revision();
    if (this.#isClosed || (revision === this.#revision && !this.#hasFailed)) return;
    const isFirst = !this.#hasKeys;
    if (!(await this.#readChanges(revision))) await this.#readAll();
    this.#hasKeys = true;
    if (!this.#isClosed && !isFirst) onChange?.();
  }

  /** False: only reading all tells what the store has. */
  async #readChanges(revision: number): Promise<boolean> {
    if (this.#revision === undefined || revision < this.#revision || this.#hasFailed) return false;
    const { store, ring } = this.#options;
    const changed = await store.changedSince(this.#revision);
    if (changed === undefined) return false;
    if (this.#isClosed) return true;
    ring.changeStored(changed.records);
    this.#tellDamage(changed.records);
    this.#revision = changed.revision;
    return true;
  }

  async #readAll(): Promise<void> {
    const { store, ring } = this.#options;
    const { revision, records } = await store.readAll();
    if (this.#isClosed) return;
    ring.setStored(records);
    this.#tellDamage(records);
    this.#revision = revision;
    this.#hasFailed = false;
  }

  /** Each once, until it is mended. */
  #tellDamage(records: readonly KeyRecord[]): void {
    for (const record of records) {
      if (record.damage === undefined) this.#damaged.delete(record.id);
      else if (!this.#damaged.has(record.id)) {
        this.#damaged.add(record.id);
        this.#options.log.warn(damageText(record));
      }
    }
  }

  #setUp(isUp: boolean, error?: unknown): void {
    if (isUp === this.#isUp || this.#isClosed) return;
    this.#isUp = isUp;
    const { log } = this.#options;
    if (isUp) log.info('access.store answers again: keys are up to date');
    else
      log.warn(
        `access.store can’t be read: ${error instanceof Error ? error.message : String(error)} The keys that were known stay in force.`,
      );
  }
}
