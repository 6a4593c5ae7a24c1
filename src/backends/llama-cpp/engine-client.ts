/**
 * The orders that the engine has, or will have once it is ready: generations, embeddings, questions. Owns their numbers
 * and sinks. Invariant: each ends exactly once, and then it is gone from here.
 */

import type { Embeddings, Tokenizer } from '../../core/backend.ts';
import { abortable } from '../../core/cancellation.ts';
import { ServingError } from '../../core/errors.ts';
import type { GenerationEvent } from '../../core/generation.ts';
import type {
  EngineEmbeddingRequest,
  EngineEvent,
  EngineGenerationRequest,
  EngineReport,
  ToEngine,
  TokenizerRequest,
  TokenizerResult,
} from './messages.ts';
import { refuseUnsupportedPrompt } from './supported-features.ts';

/** What all orders have in common: they end, well or not. */
export interface EngineSink {
  /** It ended with an error. */
  failed(error: ServingError): void;
  /** It was aborted, and the engine holds nothing of it. */
  freed(): void;
}

export interface EngineGenerationSink extends EngineSink {
  event(event: GenerationEvent): void;
}

export interface EmbeddingSink extends EngineSink {
  vector(values: readonly number[]): void;
  /** All vectors have come. */
  embedded(promptTokens: number): void;
}

export interface TokenizerSink extends EngineSink {
  answered(answer: TokenizerResult): void;
}

/** An order under way. Once it has ended, all of its methods do nothing. */
export interface RequestHandle {
  /** The sink is told `freed`, or the end that came first. */
  abort(): void;
}

export interface GenerationHandle extends RequestHandle {
  pause(): void;
  resume(): void;
}

interface PendingRequest {
  readonly message: ToEngine;
  /** Gets what its kind of order brings forth. */
  readonly sink: EngineSink & Partial<EngineGenerationSink & EmbeddingSink & TokenizerSink>;
  /** The engine that runs now has it. */
  sent: boolean;
  /** No step computes for it. */
  paused: boolean;
}

/** After these the engine holds no work of the order. */
const FINAL_EVENTS: ReadonlySet<EngineEvent['event']['type']> = new Set([
  'finish',
  'embedded',
  'tokenized',
  'detokenized',
  'failed',
  'freed',
]);

type SendToEngine = (message: ToEngine) => void;

export class PendingRequests {
  readonly #flights = new Map<number, PendingRequest>();
  readonly #questions = new TokenizeQueue();
  #lastId = 0;

  /** The engine has something to do: with those that are paused alone, it rests. */
  get hasWork(): boolean {
    for (const { sent, paused } of this.#flights.values()) if (sent && !paused) return true;
    return false;
  }

  addGeneration(generation: Omit<EngineGenerationRequest, 'id'>, sink: EngineGenerationSink): number {
    return this.#add((id) => ({ type: 'generate', generation: { ...generation, id } }), sink);
  }

  addEmbedding(embedding: Omit<EngineEmbeddingRequest, 'id'>, sink: EmbeddingSink): number {
    return this.#add((id) => ({ type: 'embed', embedding: { ...embedding, id } }), sink);
  }

  /** Why a question cannot be added now. */
  queueError(question: TokenizerRequest): ServingError | undefined {
    return this.#questions.refusal(question);
  }

  addTokenizerRequest(question: TokenizerRequest, sink: TokenizerSink): number {
    const id = this.#add((id) => ({ ...question, id }), sink);
    this.#questions.add(id, question);
    return id;
  }

  /** Hands over all that the engine does not have yet, and of the questions the first. */
  sendNew(send: SendToEngine): void {
    for (const id of this.#flights.keys()) {
      if (!this.#questions.has(id)) this.#send(id, send);
    }
    this.sendTokenizerRequest(send);
  }

  /** Hands over one that was added; a question waits for its turn. */
  sendAdded(id: number, send: SendToEngine): void {
    if (this.#questions.has(id)) this.sendTokenizerRequest(send);
    else this.#send(id, send);
  }

  /** Hands over the first question, where the engine does not have it yet. */
  sendTokenizerRequest(send: SendToEngine): void {
    const { first } = this.#questions;
    if (first !== undefined) this.#send(first, send);
  }

  abort(id: number, send: SendToEngine): void {
    const flight = this.#flights.get(id);
    if (flight === undefined) return;
    if (flight.sent) {
      // From now on the engine has to free it.
      flight.paused = false;
      send({ type: 'abort', id });
      return;
    }
    this.#delete(id);
    flight.sink.freed();
  }

  pause(id: number, send: SendToEngine): void {
    this.#setPaused(id, true, send);
  }

  resume(id: number, send: SendToEngine): void {
    this.#setPaused(id, false, send);
  }

  deliver({ id, event }: EngineEvent): void {
    const sink = this.#flights.get(id)?.sink;
    if (sink === undefined) return;
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
        sink.answered?.(event);
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

  #add(orderOf: (id: number) => ToEngine, sink: PendingRequest['sink']): number {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#flights.set(id, { message: orderOf(id), sink, sent: false, paused: false });
    return id;
  }

  #send(id: number, send: SendToEngine): void {
    const flight = this.#flights.get(id);
    if (flight === undefined || flight.sent) return;
    flight.sent = true;
    send(flight.message);
    if (flight.paused) send({ type: 'pause', id });
  }

  #setPaused(id: number, paused: boolean, send: SendToEngine): void {
    const flight = this.#flights.get(id);
    if (flight === undefined || flight.paused === paused) return;
    flight.paused = paused;
    if (flight.sent) send({ type: paused ? 'pause' : 'resume', id });
  }

  #delete(id: number): void {
    this.#flights.delete(id);
    this.#questions.delete(id);
  }

  /** Sinks may add others meanwhile: those are not failed. */
  #fail(error: ServingError, which: (flight: PendingRequest) => boolean): void {
    const failing = [...this.#flights].filter(([, flight]) => which(flight));
    for (const [id] of failing) this.#delete(id);
    for (const [, { sink }] of failing) sink.failed(error);
  }
}

function errorOf({ code, message, param }: Extract<EngineReport, { type: 'failed' }>): ServingError {
  return new ServingError(code, { message, ...(param !== undefined && { param }) });
}

/**
 * Questions to the engine that are not answered yet, in their order. The engine gets one at a time: each keeps it from all
 * else, so what comes meanwhile, pings among it, has its turn before the next. Owns how much waits: it is bounded.
 */

const MAX_WAITING_BYTES = 4 * 1024 * 1024;

class TokenizeQueue {
  readonly #sizes = new Map<number, number>();
  #bytes = 0;

  /** The one that the engine has, or is to have next. */
  get first(): number | undefined {
    for (const id of this.#sizes.keys()) return id;
    return undefined;
  }

  /** Where nothing waits, any length is taken. */
  refusal(question: TokenizerRequest): ServingError | undefined {
    if (this.#bytes === 0 || this.#bytes + sizeOf(question) <= MAX_WAITING_BYTES) return undefined;
    return new ServingError('queue_full', {
      message: 'Too much text waits to be tokenized for this model. Send the request again a little later.',
      retryAfterSeconds: 1,
    });
  }

  add(id: number, question: TokenizerRequest): void {
    const bytes = sizeOf(question);
    this.#sizes.set(id, bytes);
    this.#bytes += bytes;
  }

  has(id: number): boolean {
    return this.#sizes.has(id);
  }

  /** Numbers of other orders are none of its own. */
  delete(id: number): void {
    this.#bytes -= this.#sizes.get(id) ?? 0;
    this.#sizes.delete(id);
  }
}

/** About as long as the message to the engine. */
function sizeOf(question: TokenizerRequest): number {
  if (question.type === 'detokenize') return question.tokens.length * 8;
  const { input, tools } = question;
  if (input.kind === 'text') return input.prompt.length;
  return input.kind === 'tokens' ? input.tokens.length * 8 : JSON.stringify({ input, tools }).length;
}

/**
 * One embedding in the engine, as a promise. Owns the vectors that have come so far. Invariant: it settles once, when
 * the engine holds no work of it any more; after an abort with the signal's reason, whatever the engine still sends.
 * That is why it is not `abortable`, which would settle at once.
 */

export function embeddingCall(
  start: (sink: EmbeddingSink) => RequestHandle,
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
    const abort = () => running.abort();
    signal.addEventListener('abort', abort);
    const running = start({
      vector: (values) => vectors.push(values),
      embedded: (promptTokens) => settle(() => resolve({ vectors, promptTokens })),
      failed: (error) => settle(() => reject(error)),
      freed: () => settle(() => reject(signal.reason)),
    });
  });
}

/**
 * The vocabulary of the engine's model behind the port. Invariant: a question settles once, at an abort at once: the
 * engine answers it between two steps, and nothing of it is held meanwhile.
 */

type SendTokenizerRequest = (question: TokenizerRequest, sink: TokenizerSink) => RequestHandle;

export function engineTokenizer(ask: SendTokenizerRequest): Tokenizer {
  return {
    async encode(request, { signal }) {
      refuseUnsupportedPrompt(request);
      const answer = await resultOf(ask, { type: 'tokenize', ...request }, signal);
      if (answer.type !== 'tokenized') throw new Error(`the engine answered with ${answer.type}`);
      return answer.tokens;
    },
    async decode(tokens, { signal }) {
      const answer = await resultOf(ask, { type: 'detokenize', tokens }, signal);
      if (answer.type !== 'detokenized') throw new Error(`the engine answered with ${answer.type}`);
      return answer.text;
    },
  };
}

function resultOf(
  ask: SendTokenizerRequest,
  question: TokenizerRequest,
  signal: AbortSignal,
): Promise<TokenizerResult> {
  return abortable(signal, ({ resolve, reject }) => {
    const asked = ask(question, { answered: resolve, failed: reject, freed() {} });
    return () => asked.abort();
  });
}
