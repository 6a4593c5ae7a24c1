/**
 * The orders that the engine has, or will have once it is ready: generations, embeddings, questions. Owns their numbers
 * and sinks. Invariant: each ends exactly once, and then it is gone from here.
 */
import { ServingError } from '../../core/errors.ts';
import type { GenerationEvent } from '../../core/generation.ts';
import type {
  EngineAnswer,
  EngineEmbedding,
  EngineEvent,
  EngineGeneration,
  EngineReport,
  Question,
  ToEngine,
} from './messages.ts';
import { QuestionQueue } from './question-queue.ts';

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

export interface AnswerSink extends EngineSink {
  answered(answer: EngineAnswer): void;
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

interface Flight {
  readonly order: ToEngine;
  /** Gets what its kind of order brings forth. */
  readonly sink: EngineSink & Partial<EngineGenerationSink & EmbeddingSink & AnswerSink>;
  /** The engine that runs now has it. */
  sent: boolean;
  /** No step computes for it. */
  paused: boolean;
}

/** After these the engine holds no work of the order. */
const ENDINGS: ReadonlySet<EngineEvent['event']['type']> = new Set([
  'finish',
  'embedded',
  'tokenized',
  'detokenized',
  'failed',
  'freed',
]);

export type SendToEngine = (message: ToEngine) => void;

export class Flights {
  readonly #flights = new Map<number, Flight>();
  readonly #questions = new QuestionQueue();
  #lastId = 0;

  /** The engine has something to do: with those that are paused alone, it rests. */
  get hasWork(): boolean {
    for (const { sent, paused } of this.#flights.values()) if (sent && !paused) return true;
    return false;
  }

  add(generation: Omit<EngineGeneration, 'id'>, sink: EngineGenerationSink): number {
    return this.#add((id) => ({ type: 'generate', generation: { ...generation, id } }), sink);
  }

  addEmbedding(embedding: Omit<EngineEmbedding, 'id'>, sink: EmbeddingSink): number {
    return this.#add((id) => ({ type: 'embed', embedding: { ...embedding, id } }), sink);
  }

  /** Why a question cannot be added now. */
  refusalOf(question: Question): ServingError | undefined {
    return this.#questions.refusal(question);
  }

  addQuestion(question: Question, sink: AnswerSink): number {
    const id = this.#add((id) => ({ ...question, id }), sink);
    this.#questions.add(id, question);
    return id;
  }

  /** Hands over all that the engine does not have yet, and of the questions the first. */
  sendNew(send: SendToEngine): void {
    for (const id of this.#flights.keys()) {
      if (!this.#questions.has(id)) this.#send(id, send);
    }
    this.sendQuestion(send);
  }

  /** Hands over one that was added; a question waits for its turn. */
  sendAdded(id: number, send: SendToEngine): void {
    if (this.#questions.has(id)) this.sendQuestion(send);
    else this.#send(id, send);
  }

  /** Hands over the first question, where the engine does not have it yet. */
  sendQuestion(send: SendToEngine): void {
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
    if (ENDINGS.has(event.type)) this.#delete(id);
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

  #add(orderOf: (id: number) => ToEngine, sink: Flight['sink']): number {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#flights.set(id, { order: orderOf(id), sink, sent: false, paused: false });
    return id;
  }

  #send(id: number, send: SendToEngine): void {
    const flight = this.#flights.get(id);
    if (flight === undefined || flight.sent) return;
    flight.sent = true;
    send(flight.order);
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
  #fail(error: ServingError, which: (flight: Flight) => boolean): void {
    const failing = [...this.#flights].filter(([, flight]) => which(flight));
    for (const [id] of failing) this.#delete(id);
    for (const [, { sink }] of failing) sink.failed(error);
  }
}

function errorOf({ code, message, param }: Extract<EngineReport, { type: 'failed' }>): ServingError {
  return new ServingError(code, { message, ...(param !== undefined && { param }) });
}
