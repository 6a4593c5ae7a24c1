/**
 * The orders that the engine has, or will have once it is ready: generations, embeddings, questions. Owns their numbers
 * and sinks. Invariant: each ends exactly once, and then it is gone from here.
 */
import { ServingError } from '../../core/errors.ts';
import type { EmbeddingSink } from './embedding-call.ts';
import type { AnswerSink } from './engine-tokenizer.ts';
import type { GenerationSink } from './generation-stream.ts';
import type { EngineEmbedding, EngineEvent, EngineGeneration, Question, ToEngine } from './messages.ts';
import { QuestionQueue } from './question-queue.ts';

interface Flight {
  readonly order: ToEngine;
  readonly sink: FlightSink;
  /** The engine that runs now has it. */
  sent: boolean;
}

/** What all orders have in common: they end, well or not. */
interface FlightSink {
  take(event: EngineEvent): void;
  failed(error: ServingError): void;
  freed(): void;
}

/** After these the engine holds no work of the order. */
const ENDINGS: ReadonlySet<EngineEvent['type']> = new Set([
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

  /** The engine has something to do. */
  get anySent(): boolean {
    for (const { sent } of this.#flights.values()) if (sent) return true;
    return false;
  }

  add(generation: Omit<EngineGeneration, 'id'>, sink: GenerationSink): number {
    const order = (id: number): ToEngine => ({ type: 'generate', generation: { ...generation, id } });
    return this.#add(order, { ...passingEnds(sink), take: (event) => passGenerated(event, sink) });
  }

  addEmbedding(embedding: Omit<EngineEmbedding, 'id'>, sink: EmbeddingSink): number {
    const order = (id: number): ToEngine => ({ type: 'embed', embedding: { ...embedding, id } });
    return this.#add(order, { ...passingEnds(sink), take: (event) => passEmbedded(event, sink) });
  }

  /** Why a question cannot be added now. */
  refusalOf(question: Question): ServingError | undefined {
    return this.#questions.refusal(question);
  }

  addQuestion(question: Question, sink: AnswerSink): number {
    const order = (id: number): ToEngine => ({ ...question, id });
    const id = this.#add(order, { ...passingEnds(sink), take: (event) => passAnswer(event, sink) });
    this.#questions.add(id, question);
    return id;
  }

  /** Hands over all that the engine does not have yet, and of the questions the first. */
  sendNew(send: SendToEngine): void {
    for (const [id, flight] of this.#flights) {
      if (!this.#questions.has(id)) handOver(flight, send);
    }
    this.sendQuestion(send);
  }

  /** Hands over the first question, where the engine does not have it yet. */
  sendQuestion(send: SendToEngine): void {
    const first = this.#questions.first;
    const flight = first === undefined ? undefined : this.#flights.get(first);
    if (flight !== undefined) handOver(flight, send);
  }

  abort(id: number, send: SendToEngine): void {
    const flight = this.#flights.get(id);
    if (flight === undefined) return;
    if (flight.sent) {
      send({ type: 'abort', id });
      return;
    }
    this.#delete(id);
    flight.sink.freed();
  }

  deliver(event: EngineEvent): void {
    const sink = this.#flights.get(event.id)?.sink;
    if (sink === undefined) return;
    if (ENDINGS.has(event.type)) this.#delete(event.id);
    if (event.type === 'failed') sink.failed(errorOf(event));
    else if (event.type === 'freed') sink.freed();
    else sink.take(event);
  }

  failSent(error: ServingError): void {
    this.#fail(error, ({ sent }) => sent);
  }

  failAll(error: ServingError): void {
    this.#fail(error, () => true);
  }

  #add(orderOf: (id: number) => ToEngine, sink: FlightSink): number {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#flights.set(id, { order: orderOf(id), sink, sent: false });
    return id;
  }

  #delete(id: number): void {
    this.#flights.delete(id);
    this.#questions.delete(id);
  }

  #fail(error: ServingError, which: (flight: Flight) => boolean): void {
    for (const [id, flight] of this.#flights) {
      if (!which(flight)) continue;
      this.#delete(id);
      flight.sink.failed(error);
    }
  }
}

function handOver(flight: Flight, send: SendToEngine): void {
  if (flight.sent) return;
  flight.sent = true;
  send(flight.order);
}

function passingEnds(sink: Omit<FlightSink, 'take'>): Omit<FlightSink, 'take'> {
  return { failed: (error) => sink.failed(error), freed: () => sink.freed() };
}

function errorOf({ code, message, param }: Extract<EngineEvent, { type: 'failed' }>): ServingError {
  return new ServingError(code, { message, ...(param !== undefined && { param }) });
}

function passEmbedded(event: EngineEvent, sink: EmbeddingSink): void {
  if (event.type === 'vector') sink.vector(event.values);
  else if (event.type === 'embedded') sink.embedded(event.promptTokens);
}

function passAnswer(event: EngineEvent, sink: AnswerSink): void {
  if (event.type === 'tokenized' || event.type === 'detokenized') sink.answered(event);
}

function passGenerated(event: EngineEvent, sink: GenerationSink): void {
  switch (event.type) {
    case 'start':
      sink.event({ type: 'start', promptTokens: event.promptTokens, cachedTokens: event.cachedTokens });
      break;
    case 'text': {
      const { text, logprobs } = event;
      sink.event(logprobs === undefined ? { type: 'text', text } : { type: 'text', text, logprobs });
      break;
    }
    case 'reasoning':
      sink.event({ type: 'reasoning', text: event.text });
      break;
    case 'tool-call':
      sink.event({ type: 'tool-call', index: event.index, id: event.callId, name: event.name });
      break;
    case 'tool-arguments':
      sink.event({ type: 'tool-arguments', index: event.index, delta: event.delta });
      break;
    case 'finish': {
      const { reason, matchedStop, usage } = event;
      sink.event({ type: 'finish', reason, usage, ...(matchedStop !== undefined && { matchedStop }) });
      break;
    }
    case 'failed':
    case 'freed':
    case 'vector':
    case 'embedded':
    case 'tokenized':
    case 'detokenized':
      break;
    default:
      event satisfies never;
  }
}
