/** Serving over backends whose every event a test sends by hand: several targets, several models, and clients that ask them. */

import type { Caller } from '../../src/core/caller.ts';
import { Cancellation } from '../../src/core/cancellation.ts';
import type { ServingError } from '../../src/core/errors.ts';
import type { GenerationEvent, GenerationRequest } from '../../src/core/generation.ts';
import { silentLog } from '../../src/core/log.ts';
import type { RequestTrace } from '../../src/core/request-trace.ts';
import type { ServedGeneration } from '../../src/serving/generate.ts';
import type { RetrySettings, Serving } from '../../src/serving/serving.ts';
import type { Target } from '../../src/serving/targets.ts';
import { FakeBackend, type FakeRun, fakeTarget, textRequest } from './fake-backend.ts';
import { FakeClock } from './fake-clock.ts';
import { RETRY, SCHEDULER } from './scheduling.ts';
import { servingWith } from './serving-with.ts';

export interface Asked {
  readonly trace: RequestTrace;
  readonly cancellation: Cancellation;
  readonly generation: ServedGeneration;
  readonly events: GenerationEvent[];
  /** `finished`, or the error's code; undefined while it runs. */
  outcome(): string | undefined;
  error(): ServingError | undefined;
  /** How often its sink got an end. */
  ends(): number;
  /** Its client reads no more, for now. */
  pause(): void;
  resume(): void;
}

interface AskOptions {
  readonly model?: string;
  readonly delivery?: 'whole' | 'stream';
  readonly deadlineMs?: number;
  readonly request?: Partial<GenerationRequest>;
  readonly caller?: Caller;
}

export class ServedModels {
  readonly clock = new FakeClock();
  readonly serving: Serving;
  readonly targets: readonly Target[];
  readonly warnings: string[] = [];
  readonly gapsMs: number[] = [];
  /** What the random part of a pause is. */
  random = 0.5;
  readonly #backends = new Map<string, FakeBackend>();
  #asked = 0;

  /** `targets`: name → what differs from a ready target of the model `m` with two slots. */
  constructor(
    targets: Readonly<Record<string, Partial<Target>>>,
    options: {
      readonly retry?: Partial<RetrySettings>;
      readonly fallbackModels?: Readonly<Record<string, readonly string[]>>;
      readonly dropUnsupported?: boolean;
      readonly queueTimeoutMs?: number;
      readonly resume?: 'auto' | 'off';
    } = {},
  ) {
    this.targets = Object.entries(targets).map(([id, changes]) => {
      const backend = new FakeBackend();
      this.#backends.set(id, backend);
      return fakeTarget(backend, { id, ...changes });
    });
    this.serving = servingWith({
      clock: this.clock,
      log: { ...silentLog, warn: (message) => void this.warnings.push(message) },
      targets: this.targets,
      dropUnsupported: options.dropUnsupported ?? false,
      scheduler: { ...SCHEDULER, maxQueue: 1000, maxBatchSize: 8 },
      queueTimeoutMs: options.queueTimeoutMs ?? 60_000,
      retry: { ...RETRY, ...options.retry },
      resume: options.resume ?? 'auto',
      fallbackModels: new Map(Object.entries(options.fallbackModels ?? {})),
      random: () => this.random,
      onTokenGap: (_, gapMs) => void this.gapsMs.push(gapMs),
    });
  }

  backend(target: string): FakeBackend {
    const backend = this.#backends.get(target);
    if (backend === undefined) throw new Error(`no target ${target}`);
    return backend;
  }

  /** What runs at the target, the oldest first. */
  runsAt(target: string): readonly FakeRun[] {
    return this.backend(target).runs;
  }

  /** The newest run at the target. Throws where none has been asked for. */
  lastAt(target: string): FakeRun {
    const run = this.runsAt(target).at(-1);
    if (run === undefined) throw new Error(`${target} was never asked`);
    return run;
  }

  ask({
    model = 'm',
    delivery = 'stream',
    deadlineMs = 60_000,
    request = {},
    caller,
  }: AskOptions = {}): Asked {
    const id = `request_${++this.#asked}`;
    const trace: RequestTrace = { requestId: id, receivedAt: this.clock.now(), ...(caller && { caller }) };
    const cancellation = new Cancellation();
    const events: GenerationEvent[] = [];
    let outcome: string | undefined;
    let failure: ServingError | undefined;
    let ends = 0;
    const call = {
      request: { ...textRequest(id), model, ...request },
      delivery,
      trace,
      client: 'client',
      priority: 'normal' as const,
      cancellation,
      deadlineAt: this.clock.now() + deadlineMs,
    };
    const generation = this.serving.generate(call, {
      event: (event) => {
        events.push(event);
        if (event.type !== 'finish') return;
        ends += 1;
        outcome = 'finished';
      },
      fail: (error) => {
        ends += 1;
        failure = error;
        outcome = error.code;
      },
    });
    return {
      trace,
      cancellation,
      generation,
      events,
      outcome: () => outcome,
      error: () => failure,
      ends: () => ends,
      pause: () => generation.pause(),
      resume: () => generation.resume(),
    };
  }

  embed(inputs: readonly string[], { model = 'm' }: { readonly model?: string } = {}) {
    const trace: RequestTrace = { requestId: `embedding_${++this.#asked}`, receivedAt: this.clock.now() };
    const cancellation = new Cancellation();
    const outcome = this.serving
      .embed({
        request: { model, inputs },
        trace,
        client: 'client',
        priority: 'normal',
        cancellation,
        deadlineAt: this.clock.now() + 60_000,
      })
      .catch((error: ServingError) => error);
    return { trace, cancellation, outcome };
  }

  usedAt(target: string): number {
    const found = this.targets.find(({ id }) => id === target);
    return found === undefined ? 0 : this.serving.usedOf(found).slots;
  }

  slotsUsed(): number {
    return this.targets.reduce((sum, target) => sum + this.serving.usedOf(target).slots, 0);
  }

  waiting(): number {
    return this.serving.loads().reduce((sum, { waiting }) => sum + waiting, 0);
  }
}
