/**
 * A thread that compiles grammars, so that a schema made to cost much keeps nobody else waiting. Owns the thread. It
 * keeps the process alive only while it compiles.
 */
import { Worker } from 'node:worker_threads';
import type { ErrorCode } from '../../core/errors.ts';
import { builtEntry } from './built-entry.ts';

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

export interface GrammarThread {
  /** One at a time. `constraint`: an AnswerConstraint as JSON. */
  compile(constraint: string): void;
  /** Also while it compiles; no event comes after it. */
  end(): Promise<void>;
}

export type StartGrammarThread = (events: GrammarThreadEvents) => GrammarThread;

/** The largest schemas that are taken need about a tenth of it. */
const MEMORY = { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 32 };

export const startGrammarThread: StartGrammarThread = (events) => {
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
