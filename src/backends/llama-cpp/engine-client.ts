/**
 * The engine as the API process calls it: which features it has, the requests that are under way, and a generation, an
 * embedding and a tokenizer made of such requests. `PendingRequests` owns the requests. Invariant: each of them ends
 * exactly once, and is forgotten then.
 */
import type { Embeddings, Tokenizer } from '../../core/backend.ts';
import { abortable } from '../../core/cancellation.ts';
import { ServingError } from '../../core/errors.ts';
import { type Feature, refuseUnsupported } from '../../core/features.ts';
import type { GenerationEvent, GenerationRequest, RequestId } from '../../core/generation.ts';
import type { RunningGeneration } from '../../core/sink.ts';
import {
  type EngineEmbeddingRequest,
  type EngineEvent,
  type EngineGenerationRequest,
  type EngineReport,
  FINAL_EVENTS,
  type TokenizerRequest,
  type TokenizerResult,
  type WorkForEngine,
} from './messages.ts';

const SUPPORTED: readonly Feature[] = [
  'json',
  'json-schema',
  'grammar',
  'regex',
  'choice',
  'tools',
  'tool-choice',
  'single-tool-call',
  'continuation',
  'token-prompt',
  'tool-messages',
  'format-beside-tools',
  'logprobs',
  'logit-bias',
  'bad-words',
  'top-k',
  'min-p',
  'repeat-penalty',
  'stop-tokens',
  'min-tokens',
  'ignore-eos',
  // Whether the model itself supports it is known to the engine only.
  'think',
];
/** A prompt is the same whether or not calls have to follow the schema of their tool. */
const SUPPORTED_IN_PROMPTS: readonly Feature[] = [...SUPPORTED, 'strict-tools'];

/** Throws `unsupported_parameter` before anything is sent. */
export function refuseUnsupportedByEngine(request: GenerationRequest): void {
  refuseUnsupported(request, { backend: 'llama-cpp', supports: SUPPORTED });
}

function refuseUnsupportedPrompt({ input, tools }: Pick<GenerationRequest, 'input' | 'tools'>): void {
  const request = { id: '' as RequestId, model: '', sampling: {}, limits: { stop: [] }, input, tools };
  refuseUnsupported(request as GenerationRequest, { backend: 'llama-cpp', supports: SUPPORTED_IN_PROMPTS });
}

/** How a request ends when it does not succeed. */
export interface EngineSink {
  failed(error: ServingError): void;
  /** It was aborted, and the engine holds nothing of it. */
  freed(): void;
}

export interface EngineGenerationSink extends EngineSink {
  event(event: GenerationEvent): void;
  /** Before the event that they came with. */
  tokens?(tokens: readonly number[]): void;
}

export interface EmbeddingSink extends EngineSink {
  vector(values: readonly number[]): void;
  /** All vectors have come. */
  embedded(promptTokens: number): void;
}

export interface TokenizerSink extends EngineSink {
  result(result: TokenizerResult): void;
}

/** A request under way. Once it has ended, all of its methods do nothing. */
export interface RequestHandle {
  /** The sink gets `freed`, or the end that came first. */
  abort(): void;
  pause(): void;
  resume(): void;
}

interface PendingRequest {
  readonly message: WorkForEngine;
  /** Has the methods for the events of its kind of request. */
  readonly sink: EngineSink & Partial<EngineGenerationSink & EmbeddingSink & TokenizerSink>;
  /** To the engine that runs now. */
  sent: boolean;
  /** No step computes for it. */
  paused: boolean;
  /** The engine still has to free it. */
  aborted: boolean;
}

/** Requests that the engine has, or gets once it is ready. Owns their ids and sinks. */
export class PendingRequests {
  readonly #sendToEngine: (message: WorkForEngine) => void;
  readonly #requests = new Map<number, PendingRequest>();
  readonly #tokenizeQueue = new TokenizeQueue();
  #lastId = 0;

  constructor(sendToEngine: (message: WorkForEngine) => void) {
    this.#sendToEngine = sendToEngine;
  }

  /** Whether a step is due: the engine rests while all of its requests are paused. */
  get hasWork(): boolean {
    for (const { sent, paused, aborted } of this.#requests.values()) {
      if (sent && (aborted || !paused)) return true;
    }
    return false;
  }

  addGeneration(generation: Omit<EngineGenerationRequest, 'id'>, sink: EngineGenerationSink): number {
    return this.#add((id) => ({ type: 'generate', generation: { ...generation, id } }), sink);
  }

  addEmbedding(embedding: Omit<EngineEmbeddingRequest, 'id'>, sink: EmbeddingSink): number {
    return this.#add((id) => ({ type: 'embed', embedding: { ...embedding, id } }), sink);
  }

  /** Why a tokenizer request cannot be added now. */
  tokenizeQueueError(request: TokenizerRequest): ServingError | undefined {
    return this.#tokenizeQueue.error(request);
  }

  addTokenizerRequest(request: TokenizerRequest, sink: TokenizerSink): number {
    const id = this.#add((id) => ({ ...request, id }), sink);
    this.#tokenizeQueue.add(id, request);
    return id;
  }

  /** Sends all that a new engine does not have yet; of the tokenizer requests, the first. */
  sendAll(): void {
    for (const id of this.#requests.keys()) {
      if (!this.#tokenizeQueue.has(id)) this.#send(id);
    }
    this.sendTokenizerRequest();
  }

  /** Sends one that was added; a tokenizer request waits for its turn. */
  send(id: number): void {
    if (this.#tokenizeQueue.has(id)) this.sendTokenizerRequest();
    else this.#send(id);
  }

  /** Sends the first in the queue, where the engine does not have it yet. */
  sendTokenizerRequest(): void {
    const { first } = this.#tokenizeQueue;
    if (first !== undefined) this.#send(first);
  }

  abort(id: number): void {
    const request = this.#requests.get(id);
    if (request === undefined) return;
    if (request.sent) {
      request.aborted = true;
      this.#sendToEngine({ type: 'abort', id });
      return;
    }
    this.#delete(id);
    request.sink.freed();
  }

  pause(id: number): void {
    this.#setPaused(id, true);
  }

  resume(id: number): void {
    this.#setPaused(id, false);
  }

  deliver({ id, event, tokens }: EngineEvent): void {
    const sink = this.#requests.get(id)?.sink;
    if (sink === undefined) return;
    if (tokens !== undefined) sink.tokens?.(tokens);
    if (FINAL_EVENTS.has(event.type)) this.#delete(id);
    switch (event.type) {
      case 'failed':
        sink.failed(errorOf(event));
        break;
      case 'freed':
        sink.freed();
        break;
      case 'vector':
        sink.vector?.(event.values);
        break;
      case 'embedded':
        sink.embedded?.(event.promptTokens);
        break;
      case 'tokenized':
      case 'detokenized':
        sink.result?.(event);
        break;
      default:
        sink.event?.(event);
    }
  }

  failSent(error: ServingError): void {
    this.#fail(error, ({ sent }) => sent);
  }

  failAll(error: ServingError): void {
    this.#fail(error, () => true);
  }

  #add(messageOf: (id: number) => WorkForEngine, sink: PendingRequest['sink']): number {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#requests.set(id, { message: messageOf(id), sink, sent: false, paused: false, aborted: false });
    return id;
  }

  #send(id: number): void {
    const request = this.#requests.get(id);
    if (request === undefined || request.sent) return;
    request.sent = true;
    this.#sendToEngine(request.message);
    if (request.paused) this.#sendToEngine({ type: 'pause', id });
  }

  #setPaused(id: number, paused: boolean): void {
    const request = this.#requests.get(id);
    if (request === undefined || request.paused === paused || request.aborted) return;
    request.paused = paused;
    if (request.sent) this.#sendToEngine({ type: paused ? 'pause' : 'resume', id });
  }

  #delete(id: number): void {
    this.#requests.delete(id);
    this.#tokenizeQueue.delete(id);
  }

  /** A sink may add another request meanwhile: that one does not fail. */
  #fail(error: ServingError, which: (request: PendingRequest) => boolean): void {
    const failing = [...this.#requests].filter(([, request]) => which(request));
    for (const [id] of failing) this.#delete(id);
    for (const [, { sink }] of failing) sink.failed(error);
  }
}

function errorOf({ code, message, param }: Extract<EngineReport, { type: 'failed' }>): ServingError {
  return new ServingError(code, {
    message,
    ...(param !== undefined && { param }),
    // A bug of the engine's, not of this process.
    ...(code === 'internal' && { failure: 'server_error' }),
  });
}

const MAX_WAITING_BYTES = 4 * 1024 * 1024;

/**
 * Tokenizer requests without an answer, in their order. The engine gets one at a time: while it answers one it does
 * nothing else, so that other messages, pings among them, are read between two. Owns their sizes, whose sum is bounded.
 */
class TokenizeQueue {
  readonly #sizes = new Map<number, number>();
  #bytes = 0;

  /** The one that the engine has, or gets next. */
  get first(): number | undefined {
    for (const id of this.#sizes.keys()) return id;
    return undefined;
  }

  /** An empty queue takes a request of any length. */
  error(request: TokenizerRequest): ServingError | undefined {
    if (this.#bytes === 0 || this.#bytes + sizeOf(request) <= MAX_WAITING_BYTES) return undefined;
    return new ServingError('queue_full', {
      message:
        'Too much text is waiting to be tokenized for this model. Send the request again a little later.',
      retryAfterSeconds: 1,
    });
  }

  add(id: number, request: TokenizerRequest): void {
    const bytes = sizeOf(request);
    this.#sizes.set(id, bytes);
    this.#bytes += bytes;
  }

  has(id: number): boolean {
    return this.#sizes.has(id);
  }

  /** Does nothing for the id of another kind of request. */
  delete(id: number): void {
    this.#bytes -= this.#sizes.get(id) ?? 0;
    this.#sizes.delete(id);
  }
}

/** About as long as the message to the engine. */
function sizeOf(request: TokenizerRequest): number {
  if (request.type === 'detokenize') return request.tokens.length * 8;
  const { input, tools } = request;
  if (input.kind === 'text') return input.prompt.length;
  return input.kind === 'tokens' ? input.tokens.length * 8 : JSON.stringify({ input, tools }).length;
}

/** Settles when the engine is free of the generation; rejects with the error that it failed with. */
export async function runInEngine(
  generation: RunningGeneration,
  start: (sink: EngineGenerationSink) => RequestHandle,
): Promise<void> {
  if (generation.isCancelled) return;
  await new Promise<void>((resolve, reject) => {
    const handle = start({
      event(event) {
        if (event.type === 'finish') resolve();
        generation.event(event);
      },
      tokens: (tokens) => void generation.tokens?.push(...tokens),
      failed: reject,
      freed: resolve,
    });
    generation.hold(handle);
  });
}

/**
 * Settles when the engine is free of the embedding: with the signal's reason after an abort, whatever the engine still
 * sends. That is why it is not `abortable`, which would settle at once.
 */
export function embedInEngine(
  start: (sink: EmbeddingSink) => Pick<RequestHandle, 'abort'>,
  signal: AbortSignal,
): Promise<Embeddings> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const vectors: (readonly number[])[] = [];
    const settle = (outcome: () => void) => {
      signal.removeEventListener('abort', abort);
      if (signal.aborted) reject(signal.reason);
      else outcome();
    };
    const abort = () => handle.abort();
    signal.addEventListener('abort', abort);
    const handle = start({
      vector: (values) => vectors.push(values),
      embedded: (promptTokens) => settle(() => resolve({ vectors, promptTokens })),
      failed: (error) => settle(() => reject(error)),
      freed: () => settle(() => reject(signal.reason)),
    });
  });
}

type SendTokenizerRequest = (request: TokenizerRequest, sink: TokenizerSink) => Pick<RequestHandle, 'abort'>;

/** The vocabulary of the engine's model. An abort settles a request at once: the engine holds nothing of it. */
export function engineTokenizer(send: SendTokenizerRequest): Tokenizer {
  const resultOf = (request: TokenizerRequest, signal: AbortSignal): Promise<TokenizerResult> =>
    abortable(signal, ({ resolve, reject }) => {
      const handle = send(request, { result: resolve, failed: reject, freed() {} });
      return () => handle.abort();
    });
  return {
    async encode(request, { signal }) {
      refuseUnsupportedPrompt(request);
      const result = await resultOf({ type: 'tokenize', ...request }, signal);
      if (result.type !== 'tokenized') throw new Error(`the engine answered with ${result.type}`);
      return result.tokens;
    },
    async decode(tokens, { signal }) {
      const result = await resultOf({ type: 'detokenize', tokens }, signal);
      if (result.type !== 'detokenized') throw new Error(`the engine answered with ${result.type}`);
      return result.text;
    },
  };
}
