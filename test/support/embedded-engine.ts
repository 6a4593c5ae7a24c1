/** The real embedded engine for tests, over the default model from the cache. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { BackendEnvironment } from '../../src/backends/backend-definition.ts';
import type { EngineSharing } from '../../src/backends/engine-sharing.ts';
import { createLlamaCpp } from '../../src/backends/llama-cpp/backend.ts';
import type { LlamaCppBackend } from '../../src/backends/llama-cpp/engine-backend.ts';
import { defaultEnginePath } from '../../src/backends/llama-cpp/engine-process.ts';
import type { LlamaCppTarget } from '../../src/backends/llama-cpp/engine-source.ts';
import type {
  GenerationEvent,
  GenerationInput,
  GenerationRequest,
  Limits,
  RequestId,
  Sampling,
} from '../../src/core/generation.ts';
import { type Log, type LogFields, silentLog } from '../../src/core/log.ts';
import { ensureModel } from '../../src/models/fetch.ts';
import { systemClock } from '../../src/system-clock.ts';

export const DEFAULT_MODEL = 'smollm2-135m-instruct';

/** Threads of one step wait for each other, which collapses beside any other load; engines of one thread do not. */
export const ENGINE_THREADS = 1;

export function testCacheDirectory(): string {
  const base = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  return process.env.LLM_SERVE_TEST_CACHE ?? join(base, 'llm-serve', 'models');
}

/** Path of the default model's file; fetched when it is not in the cache yet. */
export function modelPath(): Promise<string> {
  return ensureModel(DEFAULT_MODEL, {
    cacheDirectory: testCacheDirectory(),
    signal: new AbortController().signal,
    log: silentLog,
    onProgress: () => {},
  });
}

export interface TestEngine {
  readonly backend: LlamaCppBackend;
  /** Process ids of the engines that became ready, in their order. */
  readonly pids: number[];
  readonly lines: string[];
}

let shared: TestEngine | undefined;

/**
 * One engine for all tests of this worker that only generate: four slots of 512 tokens. Warm it up in `beforeAll`; it
 * ends with the worker's process.
 */
export function sharedEngine(): TestEngine {
  shared ??= createEngine({}, defaultEnginePath());
  return shared;
}

/** An engine of a file's own, for other settings or to kill it; not warmed up yet, closed after the file's tests. */
export function embeddedEngine(
  overrides: Partial<LlamaCppTarget> = {},
  enginePath: string = defaultEnginePath(),
): TestEngine {
  const engine = createEngine(overrides, enginePath);
  afterAll(() => engine.backend.close());
  return engine;
}

export function createEngine(
  overrides: Partial<LlamaCppTarget>,
  enginePath: string,
  engines?: EngineSharing,
): TestEngine {
  const pids: number[] = [];
  const lines: string[] = [];
  const take = (message: string, fields?: LogFields) => {
    lines.push(`${message} ${JSON.stringify(fields ?? {})}`);
    if (message === 'engine ready') pids.push(Number(fields?.pid));
  };
  const log: Log = { debug: take, info: take, warn: take, error: take };
  const environment: BackendEnvironment = {
    clock: systemClock,
    log,
    cacheDirectory: testCacheDirectory(),
    processEnvironment: process.env,
    onDownloadProgress: () => {},
    engines,
  };
  const target: LlamaCppTarget = {
    id: 'test',
    model: DEFAULT_MODEL,
    slots: 4,
    context_size: 512,
    gpu: 'off',
    threads: ENGINE_THREADS,
    flash_attention: true,
    step_timeout_ms: 60_000,
    load_timeout_ms: 300_000,
    ...overrides,
  };
  return { backend: createLlamaCpp(target, environment, enginePath), pids, lines };
}

export interface Ask {
  readonly sampling?: Sampling;
  readonly limits?: Partial<Limits>;
}

/** `what` is a user's message, or `{ raw }` without a template, or a whole input. */
export function requestFor(
  what: string | { readonly raw: string } | GenerationInput,
  { sampling = { temperature: 0 }, limits = {} }: Ask = {},
): GenerationRequest {
  return {
    id: 'test' as RequestId,
    model: DEFAULT_MODEL,
    input: inputOf(what),
    sampling,
    limits: { stop: [], ...limits },
    thinking: false,
  };
}

function inputOf(what: string | { readonly raw: string } | GenerationInput): GenerationInput {
  if (typeof what === 'string') return { kind: 'chat', messages: [{ role: 'user', content: what }] };
  return 'raw' in what ? { kind: 'text', prompt: what.raw } : what;
}

export interface Answer {
  readonly text: string;
  readonly pieces: readonly string[];
  readonly start: Extract<GenerationEvent, { type: 'start' }>;
  readonly finish: Extract<GenerationEvent, { type: 'finish' }>;
}

/** Reads a generation to its end. */
export async function read(events: AsyncIterable<GenerationEvent>): Promise<Answer> {
  const all: GenerationEvent[] = [];
  for await (const event of events) all.push(event);
  const start = all[0];
  const finish = all.at(-1);
  if (start?.type !== 'start' || finish?.type !== 'finish')
    throw new Error(`not a whole answer: ${JSON.stringify(all)}`);
  const pieces = all.flatMap((event) => (event.type === 'text' ? [event.text] : []));
  return { text: pieces.join(''), pieces, start, finish };
}

export function never(): AbortSignal {
  return new AbortController().signal;
}

/** Whether a process is there; one that ended but was not reaped counts too. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
