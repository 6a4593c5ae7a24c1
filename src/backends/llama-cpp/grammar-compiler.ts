/**
 * Compiles what constrains answers into grammars, one after the other, on a thread of its own. Owns the thread, the jobs
 * that wait, and recent results. Invariants: the event loop never compiles; a job that takes too much time or memory is
 * ended and rejected, and the next gets a new thread; an aborted job is settled at once, and never begun. A job holds a
 * slot of the target, so no more wait than there are slots.
 */
import { Worker } from 'node:worker_threads';
import { builtEntry } from '../../core/built-entry.ts';
import { abortable } from '../../core/cancellation.ts';
import type { Clock, Milliseconds, Timer } from '../../core/clock.ts';
import { type ErrorCode, ServingError } from '../../core/errors.ts';
import { outputField } from '../../core/features.ts';
import { closedError } from './engine-state.ts';
import { type AnswerConstraint, type CompiledGrammar, compileGrammar } from './grammar/answer-grammar.ts';
import { RecentResults } from './recent-results.ts';

/** The largest has about 2 MB. */
const GRAMMARS_KEPT = 32;
/** Processor time, so that a busy machine rejects nobody. 128 tools of five objects each take a third of it. */
export const COMPILE_LIMIT_MS: Milliseconds = 5000;
const CHECK_EVERY_MS: Milliseconds = 500;

interface GrammarCompilerOptions {
  readonly clock: Clock;
  readonly startThread?: StartGrammarThread;
  /** Processor time of this process so far, all threads together. */
  readonly processorMs?: () => Milliseconds;
}

type Outcome = { readonly grammar: CompiledGrammar } | { readonly error: ServingError };

interface Job {
  /** The constraint as JSON. */
  readonly key: string;
  /** The field of the request that the constraint comes from, by its native name. */
  readonly field: string;
  settle(outcome: Outcome): void;
}

export class GrammarCompiler {
  readonly #clock: Clock;
  readonly #startThread: StartGrammarThread;
  readonly #processorMs: () => Milliseconds;
  readonly #json = compileGrammar({ output: { kind: 'json' } });
  readonly #recent = new RecentResults<Outcome>(GRAMMARS_KEPT);
  readonly #waiting = new Set<Job>();
  #running: Job | undefined;
  #thread: GrammarThread | undefined;
  #check: Timer | undefined;
  #closed = false;

  constructor({
    clock,
    startThread = startGrammarThread,
    processorMs = processorTimeMs,
  }: GrammarCompilerOptions) {
    this.#clock = clock;
    this.#startThread = startThread;
    this.#processorMs = processorMs;
  }

  /** Rejects with `invalid_request` for what cannot be used, naming the place, and with the signal's reason. */
  async compile(constraint: AnswerConstraint, signal: AbortSignal): Promise<CompiledGrammar> {
    signal.throwIfAborted();
    if (this.#closed) throw closedError();
    if (constraint.calls === undefined && constraint.output?.kind === 'json') return this.#json;
    const key = JSON.stringify(constraint);
    const field = constraint.output === undefined ? 'tools' : outputField(constraint.output);
    const outcome = this.#recent.get(key) ?? (await this.#enqueue(key, field, signal));
    if ('error' in outcome) throw outcome.error;
    return outcome.grammar;
  }

  /** Rejects the jobs that wait. */
  async close(): Promise<void> {
    this.#closed = true;
    const outcome = { error: closedError() };
    for (const job of [...this.#waiting]) job.settle(outcome);
    this.#settle(outcome);
    await this.#thread?.end();
  }

  #enqueue(key: string, field: string, signal: AbortSignal): Promise<Outcome> {
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
    this.#thread ??= this.#start();
    this.#thread.compile(job.key);
    this.#checkTime(this.#processorMs());
  }

  #start(): GrammarThread {
    const thread = this.#startThread({
      compiled: (result) => this.#finish(outcomeOf(result)),
      ended: (how, cause) => {
        if (this.#thread === thread) this.#thread = undefined;
        const error =
          how === 'out-of-memory' ? this.#tooCostly('memory') : new ServingError('internal', { cause });
        this.#finish({ error });
      },
    });
    return thread;
  }

  #checkTime(begunAt: Milliseconds): void {
    this.#check = this.#clock.schedule(CHECK_EVERY_MS, () => {
      if (this.#processorMs() - begunAt < COMPILE_LIMIT_MS) {
        this.#checkTime(begunAt);
        return;
      }
      void this.#thread?.end();
      this.#thread = undefined;
      this.#finish({ error: this.#tooCostly('time') });
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

  #finish(outcome: Outcome): void {
    if (this.#running === undefined) return;
    const isFault = 'error' in outcome && outcome.error.code === 'internal';
    if (!isFault) this.#recent.set(this.#running.key, outcome);
    this.#settle(outcome);
    this.#next();
  }

  /** The running job, and all that wait for the same grammar. */
  #settle(outcome: Outcome): void {
    const job = this.#running;
    this.#check?.cancel();
    this.#running = undefined;
    job?.settle(outcome);
    for (const other of [...this.#waiting]) if (other.key === job?.key) other.settle(outcome);
  }
}

function outcomeOf(result: ThreadResult): Outcome {
  if ('grammar' in result) return result;
  if ('failure' in result) return { error: new ServingError('internal', { cause: result.failure }) };
  const { code, ...details } = result.rejection;
  return { error: new ServingError(code, details) };
}

function processorTimeMs(): Milliseconds {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

export type ThreadResult =
  | { readonly grammar: CompiledGrammar }
  /** The fields of a ServingError. */
  | {
      readonly rejection: { readonly code: ErrorCode; readonly message: string; readonly param?: string };
    }
  /** A fault of the compiler itself. */
  | { readonly failure: string };

export interface GrammarThreadEvents {
  /** Once for each `compile()`, unless the thread ends first. */
  compiled(result: ThreadResult): void;
  /** The thread ended by itself. */
  ended(how: 'out-of-memory' | 'failed', cause: unknown): void;
}

interface GrammarThread {
  /** One at a time. `constraint`: an AnswerConstraint as JSON. */
  compile(constraint: string): void;
  /** Also while it compiles; no event comes after it. */
  end(): Promise<void>;
}

type StartGrammarThread = (events: GrammarThreadEvents) => GrammarThread;

/** The largest schemas that are accepted need about a tenth of it. */
const MEMORY = { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 32 };

/** Keeps the process alive only while it compiles. */
function startGrammarThread(events: GrammarThreadEvents): GrammarThread {
  const worker = new Worker(builtEntry('./grammar-worker.js', import.meta.url), {
    resourceLimits: MEMORY,
    env: {},
    execArgv: [],
  });
  worker.unref();
  let over = false;
  worker.on('message', (result: ThreadResult) => {
    worker.unref();
    if (!over) events.compiled(result);
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
}
