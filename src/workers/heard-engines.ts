/** In a worker: what the control process tells of its engines. Owns the last notice of each, for backends that are created later. */
import type { EngineNotice, EngineToWorker } from './engine-messages.ts';

type Listener = (notice: EngineNotice | undefined) => void;

export class HeardEngines {
  readonly #last = new Map<string, EngineNotice>();
  readonly #listeners = new Map<string, Set<Listener>>();

  hear({ engine, notice }: EngineToWorker): void {
    if (notice === null) this.#last.delete(engine);
    else this.#last.set(engine, notice);
    for (const listener of [...(this.#listeners.get(engine) ?? [])]) listener(notice ?? undefined);
  }

  /** At once what was told last, if anything was; then all that is new. Returns what ends that. */
  watch(engine: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(engine) ?? new Set();
    this.#listeners.set(engine, listeners.add(listener));
    const last = this.#last.get(engine);
    if (last !== undefined) listener(last);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(engine) === listeners) this.#listeners.delete(engine);
    };
  }
}
