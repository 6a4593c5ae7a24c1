/**
 * Makes grammars of what binds answers, one after the other, on a thread of its own. Owns the thread, those who wait,
 * and recent results. Invariants: the event loop never compiles; one that takes too long is ended and refused, and the
 * next gets a new thread; whoever leaves is settled at once and never compiled for. The slots of the target bound how many wait.
 */
import { abortable } from '../../core/abortable.ts';
import type { Clock, Milliseconds, Timer } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import { outputField } from '../../core/features.ts';
import { closedError } from './engine-errors.ts';
import type { AnswerConstraint } from './grammar/answer-grammar.ts';
import { jsonGrammar } from './grammar/json-grammar.ts';
import {
  type Compiled,
  type GrammarThread,
  type StartGrammarThread,
  startGrammarThread,
} from './grammar-thread.ts';
import { RecentResults } from './recent-results.ts';

const GRAMMARS_KEPT = 64;
/** Of processor time, so that a busy machine refuses nobody. 128 tools of five objects each take a third of it. */
export const COMPILE_LIMIT_MS: Milliseconds = 5000;
const LOOK_EVERY_MS: Milliseconds = 500;

export interface GrammarCompilerOptions {
  readonly clock: Clock;
  readonly startThread?: StartGrammarThread;
  /** Processor time of this process so far, all threads together. */
  readonly processorMs?: () => Milliseconds;
}

type Outcome = { readonly grammar: string } | { readonly error: ServingError };

interface Job {
  /** The constraint as JSON. */
  readonly key: string;
  /** The field of the request that it comes from, in native words. */
  readonly field: string;
  settle(outcome: Outcome): void;
}

export class GrammarCompiler {
  readonly #clock: Clock;
  readonly #startThread: StartGrammarThread;
  readonly #processorMs: () => Milliseconds;
  readonly #json = jsonGrammar();
  readonly #recent = new RecentResults<Outcome>(GRAMMARS_KEPT);
  readonly #waiting = new Set<Job>();
  #running: Job | undefined;
  #thread: GrammarThread | undefined;
  #look: Timer | undefined;
  #closed = false;

  constructor({
    clock,
    startThread = startGrammarThread,
    processorMs = processProcessorMs,
  }: GrammarCompilerOptions) {
    this.#clock = clock;
    this.#startThread = startThread;
    this.#processorMs = processorMs;
  }

  /** GBNF. Rejects with `invalid_request` for what cannot be used, naming the place, and with the signal's reason. */
  async compile(constraint: AnswerConstraint, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    if (this.#closed) throw closedError();
    if (constraint.calls === undefined && constraint.output?.kind === 'json') return this.#json;
    const key = JSON.stringify(constraint);
    const field = constraint.output === undefined ? 'tools' : outputField(constraint.output);
    const outcome = this.#recent.get(key) ?? (await this.#compiled({ key, field }, signal));
    if ('error' in outcome) throw outcome.error;
    return outcome.grammar;
  }

  /** Those who wait are refused. */
  async close(): Promise<void> {
    this.#closed = true;
    const outcome = { error: closedError() };
    for (const job of [...this.#waiting]) job.settle(outcome);
    this.#settle(outcome);
    await this.#thread?.end();
  }

  #compiled({ key, field }: Pick<Job, 'key' | 'field'>, signal: AbortSignal): Promise<Outcome> {
    return abortable(signal, ({ resolve }) => {
      const job: Job = {
        key,
        field,
        settle: (outcome) => {
          this.#waiting.delete(job);
          resolve(outcome);
        },
      };
      this.#waiting.add(job);
      this.#next();
      return () => this.#waiting.delete(job);
    });
  }

  #next(): void {
    const [job] = this.#waiting;
    if (job === undefined || this.#running !== undefined) return;
    this.#waiting.delete(job);
    this.#running = job;
    this.#thread ??= this.#started();
    this.#thread.compile(job.key);
    this.#watch(this.#processorMs());
  }

  #started(): GrammarThread {
    const thread = this.#startThread({
      compiled: (compiled) => this.#finished(outcomeOf(compiled)),
      ended: (how, cause) => {
        if (this.#thread === thread) this.#thread = undefined;
        const error =
          how === 'out-of-memory' ? this.#tooCostly('memory') : new ServingError('internal', { cause });
        this.#finished({ error });
      },
    });
    return thread;
  }

  #watch(begunAt: Milliseconds): void {
    this.#look = this.#clock.schedule(LOOK_EVERY_MS, () => {
      if (this.#processorMs() - begunAt < COMPILE_LIMIT_MS) {
        this.#watch(begunAt);
        return;
      }
      void this.#thread?.end();
      this.#thread = undefined;
      this.#finished({ error: this.#tooCostly('time') });
    });
  }

  #tooCostly(what: 'time' | 'memory'): ServingError {
    const field = this.#running?.field ?? 'format';
    const amount =
      what === 'time'
        ? `more than ${COMPILE_LIMIT_MS / 1000} s of processor time to compile`
        : 'more memory to compile than it may have';
    return new ServingError('invalid_request', {
      message: `${field} takes ${amount}. Make it smaller or simpler.`,
      param: field,
    });
  }

  #finished(outcome: Outcome): void {
    if (this.#running === undefined) return;
    const isFault = 'error' in outcome && outcome.error.code === 'internal';
    if (!isFault) this.#recent.set(this.#running.key, outcome);
    this.#settle(outcome);
    this.#next();
  }

  /** The one that runs, and all that wait for the same. */
  #settle(outcome: Outcome): void {
    const job = this.#running;
    this.#look?.cancel();
    this.#running = undefined;
    job?.settle(outcome);
    for (const other of [...this.#waiting]) if (other.key === job?.key) other.settle(outcome);
  }
}

function outcomeOf(compiled: Compiled): Outcome {
  if ('grammar' in compiled) return compiled;
  if ('failure' in compiled) return { error: new ServingError('internal', { cause: compiled.failure }) };
  const { code, ...details } = compiled.refusal;
  return { error: new ServingError(code, details) };
}

function processProcessorMs(): Milliseconds {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
