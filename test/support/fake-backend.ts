/** A backend whose every event a test sends by hand. */
import type {
  Backend,
  CallOptions,
  EmbeddingRequest,
  Embeddings,
  GenerateOptions,
  Generation,
  GenerationSink,
  TargetStatus,
} from '../../src/core/backend.ts';
import type { ServingError } from '../../src/core/errors.ts';
import type { GenerationEvent, GenerationRequest, RequestId } from '../../src/core/generation.ts';
import { GuardedSink } from '../../src/core/sink.ts';
import type { Target } from '../../src/serving/targets.ts';

interface Deferred {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: Error): void;
}

function deferred(): Deferred {
  let resolve: () => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

export interface FakeRun {
  readonly request: GenerationRequest;
  /** Aborted with the reason that it was cancelled with. */
  readonly signal: AbortSignal;
  readonly cacheScope: string | undefined;
  readonly delivery: GenerateOptions['delivery'];
  /** By `finish`, a failure or a cancellation. */
  readonly hasEnded: boolean;
  /** Whether its sink takes no more for now. */
  isPaused: boolean;
  /** It asks its server for the whole answer. */
  askWhole(): void;
  send(event: GenerationEvent): void;
  fail(error: ServingError): void;
  /** The resource behind is free. */
  free(): void;
}

export interface FakeEmbedding {
  readonly request: EmbeddingRequest;
  readonly signal: AbortSignal;
  answer(embeddings: Embeddings): void;
  /** Also how an aborted one becomes free. */
  fail(error: unknown): void;
}

export class FakeBackend implements Backend {
  readonly runs: FakeRun[] = [];
  readonly embeddings: FakeEmbedding[] = [];
  status: TargetStatus = { state: 'ready', loaded: true };
  probes = 0;
  warmUps: { succeed(): void; fail(error: Error): void }[] = [];
  /** Runs are free as soon as they are aborted, unless a test wants to free them by hand. */
  freesByItself = true;

  generate(
    request: GenerationRequest,
    sink: GenerationSink,
    { cacheScope, delivery, onUnstreamed }: GenerateOptions,
  ): Generation {
    const ending = new GuardedSink(sink);
    const cancelled = new AbortController();
    const freed = deferred();
    if (this.freesByItself) freed.resolve();
    const run: FakeRun = {
      request,
      signal: cancelled.signal,
      cacheScope,
      delivery,
      get hasEnded() {
        return ending.ended;
      },
      isPaused: false,
      askWhole: () => onUnstreamed?.(),
      send: (event) => ending.event(event),
      fail: (error) => ending.fail(error),
      free: () => freed.resolve(),
    };
    this.runs.push(run);
    return {
      cancel: (reason) => {
        if (ending.ended) return;
        ending.fail(reason);
        cancelled.abort(reason);
      },
      pause: () => {
        run.isPaused = true;
      },
      resume: () => {
        run.isPaused = false;
      },
      released: freed.promise,
    };
  }

  embed(request: EmbeddingRequest, { signal }: CallOptions): Promise<Embeddings> {
    return new Promise((answer, fail) => {
      if (this.freesByItself) signal.addEventListener('abort', () => fail(signal.reason));
      this.embeddings.push({ request, signal, answer, fail });
    });
  }

  async probe(_options: CallOptions): Promise<TargetStatus> {
    this.probes += 1;
    return this.status;
  }

  warmUp(): Promise<void> {
    const attempt = deferred();
    this.warmUps.push({ succeed: attempt.resolve, fail: attempt.reject });
    return attempt.promise;
  }

  async close(): Promise<void> {}
}

export function fakeTarget(backend: Backend, changes: Partial<Target> = {}): Target {
  return {
    id: 'fake/0',
    weight: 1,
    role: 'primary',
    model: 'm',
    backendName: 'fake',
    upstreamModel: 'm',
    backend,
    embedded: false,
    slots: 2,
    cacheIsolation: undefined,
    firstTokenTimeoutMs: 1000,
    idleTimeoutMs: 200,
    status: { state: 'ready', loaded: true },
    health: 'ready',
    ...changes,
  };
}

export function textRequest(id: string): GenerationRequest {
  return {
    id: id as RequestId,
    model: 'm',
    input: { kind: 'text', prompt: id },
    sampling: {},
    limits: { stop: [] },
    thinking: false,
  };
}

export const FINISH = {
  type: 'finish',
  reason: 'stop',
  usage: { promptTokens: 1, completionTokens: 1, cachedTokens: 0 },
} as const satisfies GenerationEvent;
