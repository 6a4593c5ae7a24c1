/** A backend whose every event a test sends by hand. */
import type {
  Backend,
  EmbeddingRequest,
  Embeddings,
  GenerateOptions,
  TargetStatus,
} from '../../src/core/backend.ts';
import type { GenerationEvent, GenerationRequest, RequestId } from '../../src/core/generation.ts';
import type { Target } from '../../src/serving/target.ts';

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
  readonly signal: AbortSignal;
  readonly cacheScope: string | undefined;
  readonly delivery: GenerateOptions['delivery'];
  /** It asks its server for the whole answer. */
  askWhole(): void;
  send(event: GenerationEvent): void;
  fail(error: Error): void;
  /** What `return()` waits for: the resource behind is free. */
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
    { signal, cacheScope, delivery, onAskedWhole }: GenerateOptions,
  ): AsyncIterable<GenerationEvent> {
    const queue: (() => Promise<IteratorResult<GenerationEvent>>)[] = [];
    let wake = deferred();
    const freed = deferred();
    const add = (produce: () => Promise<IteratorResult<GenerationEvent>>) => {
      queue.push(produce);
      wake.resolve();
    };
    signal.addEventListener('abort', () => add(() => Promise.reject(signal.reason)));
    if (this.freesByItself) freed.resolve();
    this.runs.push({
      request,
      signal,
      cacheScope,
      delivery,
      askWhole: () => onAskedWhole?.(),
      send: (event) => {
        add(async () => ({ done: false, value: event }));
        if (event.type === 'finish') add(async () => ({ done: true, value: undefined }));
      },
      fail: (error) => add(() => Promise.reject(error)),
      free: () => freed.resolve(),
    });
    return {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          while (queue.length === 0) {
            await wake.promise;
            wake = deferred();
          }
          return (queue.shift() as () => Promise<IteratorResult<GenerationEvent>>)();
        },
        return: async () => {
          await freed.promise;
          return { done: true, value: undefined };
        },
      }),
    };
  }

  embed(request: EmbeddingRequest, { signal }: GenerateOptions): Promise<Embeddings> {
    return new Promise((answer, fail) => {
      if (this.freesByItself) signal.addEventListener('abort', () => fail(signal.reason));
      this.embeddings.push({ request, signal, answer, fail });
    });
  }

  async probe(_options: GenerateOptions): Promise<TargetStatus> {
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
    model: 'm',
    backendName: 'fake',
    modelThere: 'm',
    backend,
    embedded: false,
    slots: 2,
    cacheIsolation: undefined,
    firstTokenTimeoutMs: 1000,
    idleTimeoutMs: 200,
    status: { state: 'ready', loaded: true },
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
