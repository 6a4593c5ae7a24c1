/**
 * The workers, as the control process asks them. Owns who can be asked. A worker that does not answer in time, or dies, has no part in what
 * the others answer.
 */
import type { Clock, Milliseconds } from '../core/clock.ts';
import { Asker } from './questions.ts';
import type { AskedOfWorkers, ViewsToWorker } from './view-messages.ts';

export interface AskedWorker {
  /** Unique among all that were ever started. */
  readonly name: string;
  readonly asker: Asker<AskedOfWorkers>;
  readonly send: (message: ViewsToWorker) => void;
}

/** Somebody waits for it, and one that hangs must not hold up what the others say. */
const ANSWER_WITHIN_MS: Milliseconds = 1000;

export class AskedWorkers {
  readonly #clock: Clock;
  readonly #workers = new Map<string, AskedWorker>();

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock;
  }

  get all(): readonly AskedWorker[] {
    return [...this.#workers.values()];
  }

  /** One that can answer from now on, until `remove`. */
  add(name: string, send: (message: ViewsToWorker) => void): AskedWorker {
    const worker = { name, send, asker: new Asker<AskedOfWorkers>({ clock: this.#clock, send }) };
    this.#workers.set(name, worker);
    return worker;
  }

  remove({ name, asker }: AskedWorker): void {
    this.#workers.delete(name);
    asker.end();
  }

  /**
   * The answers of those that gave one, in the order of the workers. `onAnswer`: with each as it comes. One that has let a question's time
   * go by is asked again once it has answered something.
   */
  async askAll<Name extends keyof AskedOfWorkers>(
    question: Name,
    detailsFor: (worker: AskedWorker) => AskedOfWorkers[Name]['details'],
    { onAnswer, withinMs = ANSWER_WITHIN_MS }: AskAllOptions<AskedOfWorkers[Name]['answer']> = {},
  ): Promise<readonly AskedOfWorkers[Name]['answer'][]> {
    const asked = this.all.filter(({ asker }) => !asker.isSilent);
    const answers = asked.map(async (worker) => {
      try {
        const answer = await worker.asker.ask(question, detailsFor(worker), { withinMs });
        onAnswer?.(answer, worker);
        return [answer];
      } catch {
        return [];
      }
    });
    return (await Promise.all(answers)).flat(1) as readonly AskedOfWorkers[Name]['answer'][];
  }
}

interface AskAllOptions<Answer> {
  readonly onAnswer?: (answer: Answer, worker: AskedWorker) => void;
  readonly withinMs?: Milliseconds;
}
