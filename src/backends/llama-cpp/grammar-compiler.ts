/**
 * Makes grammars of what binds answers, one after the other, on a thread of its own. Owns the thread, those who wait,
 * and recent results. Invariants: the event loop never compiles; one that takes too long is ended and refused, and the
 * next gets a new thread; whoever leaves is settled at once and never compiled for. The slots of the target bound how many wait.
 */

import { Worker } from 'node:worker_threads';
import { abortable } from '../../core/cancellation.ts';
import type { Clock, Milliseconds, Timer } from '../../core/clock.ts';
import { type ErrorCode, ServingError } from '../../core/errors.ts';
import { outputField } from '../../core/features.ts';
import { closedError } from './engine-errors.ts';
import { builtEntry } from './engine-process.ts';
import { type AnswerConstraint, jsonGrammar } from './grammar/answer-grammar.ts';
import { RecentResults } from './recent-results.ts';

const GRAMMARS_KEPT = 64;
/** Of processor time, so that a busy machine refuses nobody. 128 tools of five objects each take a third of it. */
export const COMPILE_LIMIT_MS: Milliseconds = 5000;
const LOOK_EVERY_MS: Milliseconds = 500;

interface GrammarCompilerOptions {
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

/**
 * A thread that compiles grammars, so that a schema made to cost much keeps nobody else waiting. Owns the thread. It
 * keeps the process alive only while it compiles.
 */

export type Compiled =
  | { readonly grammar: string }
  /** The fields of a ServingError. */
  | {
      readonly refusal: { readonly code: ErrorCode; readonly message: string; readonly param?: string };
    }
  /** A fault of the compiler itself. */
  | { readonly failure: string };

export interface GrammarThreadEvents {
  /** To each `compile()` once, unless the thread ends first. */
  compiled(compiled: Compiled): void;
  /** It ended by itself. */
  ended(how: 'out-of-memory' | 'failed', cause: unknown): void;
}

interface GrammarThread {
  /** One at a time. `constraint`: an AnswerConstraint as JSON. */
  compile(constraint: string): void;
  /** Also while it compiles; no event comes after it. */
  end(): Promise<void>;
}

type StartGrammarThread = (events: GrammarThreadEvents) => GrammarThread;

/** The largest schemas that are taken need about a tenth of it. */
const MEMORY = { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 32 };

const startGrammarThread: StartGrammarThread = (events) => {
  const worker = new Worker(builtEntry('./grammar-worker.js', import.meta.url), {
    resourceLimits: MEMORY,
    env: {},
    execArgv: [],
  });
  worker.unref();
  let over = false;
  worker.on('message', (compiled: Compiled) => {
    worker.unref();
    if (!over) events.compiled(compiled);
  });
  worker.on('error', (error: Error & { readonly code?: unknown }) => {
    if (over) return;
    over = true;
    events.ended(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'out-of-memory' : 'failed', error);
  });
  return {
    compile(constraint) {
      worker.ref();
      worker.postMessage(constraint);
    },
    async end() {
      over = true;
      await worker.terminate();
    },
  };
};
