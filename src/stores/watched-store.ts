/** A store, and how it fares: whether its last calls succeeded, and how often they failed, and why. */
import { type Store, StoreError, type StoreFault } from './store.ts';

export type StoreOperation = 'read' | 'write';

/** Faults of what was asked, not of the store. */
const OF_THE_CALL: ReadonlySet<StoreFault> = new Set<StoreFault>(['name_taken', 'secret_taken', 'changed']);

export class StoreHealth {
  readonly #isUp: Record<StoreOperation, boolean> = { read: true, write: true };
  readonly #failures = new Map<StoreFault | 'internal', number>();

  /** The last call of that kind succeeded, or there was none. A full disk fails writes alone. */
  isUp(operation: StoreOperation): boolean {
    return this.#isUp[operation];
  }

  get failures(): ReadonlyMap<string, number> {
    return this.#failures;
  }

  async watch<Result>(operation: StoreOperation, call: Promise<Result>): Promise<Result> {
    try {
      const result = await call;
      this.#isUp[operation] = true;
      return result;
    } catch (error) {
      this.#failed(operation, error);
      throw error;
    }
  }

  #failed(operation: StoreOperation, error: unknown): void {
    const fault = error instanceof StoreError ? error.fault : 'internal';
    if (fault !== 'internal' && OF_THE_CALL.has(fault)) return;
    this.#isUp[operation] = false;
    this.#failures.set(fault, (this.#failures.get(fault) ?? 0) + 1);
  }
}

export function watchedStore(store: Store, health: StoreHealth): Store {
  const { keys, usage, audit } = store;
  return {
    keys: {
      revision: () => health.watch('read', keys.revision()),
      list: () => health.watch('read', keys.list()),
      page: (query) => health.watch('read', keys.page(query)),
      namesOf: (ids) => health.watch('read', keys.namesOf(ids)),
      named: (idOrName) => health.watch('read', keys.named(idOrName)),
      readAll: () => health.watch('read', keys.readAll()),
      changedSince: (revision) => health.watch('read', keys.changedSince(revision)),
      add: (record) => health.watch('write', keys.add(record)),
      change: (known, changes) => health.watch('write', keys.change(known, changes)),
    },
    usage: {
      add: (rows, batch) => health.watch('write', usage.add(rows, batch)),
      report: (query) => health.watch('read', usage.report(query)),
    },
    audit: {
      add: (entry) => health.watch('write', audit.add(entry)),
      list: (options) => health.watch('read', audit.list(options)),
    },
    close: () => store.close(),
  };
}
