/** In the control process: what the workers are told of its engines. Owns the last notice of each, for workers that start later. */
import type { EngineNotice, EngineToWorker } from './engine-messages.ts';

type Tell = (message: EngineToWorker) => void;

export class ToldEngines {
  readonly #workers = new Set<Tell>();
  readonly #last = new Map<string, { readonly owner: object; readonly notice: EngineNotice }>();

  /** A worker has started: it is told what the others know, then all that is new. Returns what ends that. */
  attach(tell: Tell): () => void {
    this.#workers.add(tell);
    for (const [engine, { notice }] of this.#last) tell({ type: 'engine', engine, notice });
    return () => this.#workers.delete(tell);
  }

  /** Begins to tell of an engine. One that was told of before under this name is not told of any more, whatever it does. */
  announce(engine: string): { tell(notice: EngineNotice): void; end(): void } {
    const owner = {};
    let hasTold = false;
    const mayTell = () => !hasTold || this.#last.get(engine)?.owner === owner;
    return {
      tell: (notice) => {
        if (!mayTell()) return;
        hasTold = true;
        this.#last.set(engine, { owner, notice });
        this.#tellAll({ type: 'engine', engine, notice });
      },
      end: () => {
        if (!hasTold || !mayTell()) return;
        this.#last.delete(engine);
        this.#tellAll({ type: 'engine', engine, notice: null });
      },
    };
  }

  #tellAll(message: EngineToWorker): void {
    for (const tell of this.#workers) tell(message);
  }
}
