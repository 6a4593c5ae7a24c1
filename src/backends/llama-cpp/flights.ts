/**
 * The generations that the engine has, or will have once it is ready. Owns their numbers and sinks. Invariant: each
 * ends exactly once, and then it is gone from here.
 */
import { ServingError } from '../../core/errors.ts';
import type { GenerationSink } from './generation-stream.ts';
import type { EngineEvent, EngineGeneration, ToEngine } from './messages.ts';

interface Flight {
  readonly generation: EngineGeneration;
  readonly sink: GenerationSink;
  /** The engine that runs now has it. */
  sent: boolean;
}

export type SendToEngine = (message: ToEngine) => void;

export class Flights {
  readonly #flights = new Map<number, Flight>();
  #lastId = 0;

  /** The engine has something to do. */
  get anySent(): boolean {
    for (const { sent } of this.#flights.values()) if (sent) return true;
    return false;
  }

  add(generation: Omit<EngineGeneration, 'id'>, sink: GenerationSink): number {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#flights.set(id, { generation: { ...generation, id }, sink, sent: false });
    return id;
  }

  /** Hands over all that the engine does not have yet. */
  sendNew(send: SendToEngine): void {
    for (const flight of this.#flights.values()) {
      if (flight.sent) continue;
      flight.sent = true;
      send({ type: 'generate', generation: flight.generation });
    }
  }

  abort(id: number, send: SendToEngine): void {
    const flight = this.#flights.get(id);
    if (flight === undefined) return;
    if (flight.sent) {
      send({ type: 'abort', id });
      return;
    }
    this.#flights.delete(id);
    flight.sink.freed();
  }

  deliver(event: EngineEvent): void {
    const sink = this.#flights.get(event.id)?.sink;
    if (sink === undefined) return;
    if (event.type === 'finish' || event.type === 'failed' || event.type === 'freed')
      this.#flights.delete(event.id);
    pass(event, sink);
  }

  failSent(error: ServingError): void {
    this.#fail(error, ({ sent }) => sent);
  }

  failAll(error: ServingError): void {
    this.#fail(error, () => true);
  }

  #fail(error: ServingError, which: (flight: Flight) => boolean): void {
    for (const [id, flight] of this.#flights) {
      if (!which(flight)) continue;
      this.#flights.delete(id);
      flight.sink.failed(error);
    }
  }
}

function pass(event: EngineEvent, sink: GenerationSink): void {
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
    case 'failed': {
      const { code, message, param } = event;
      sink.failed(new ServingError(code, { message, ...(param !== undefined && { param }) }));
      break;
    }
    case 'freed':
      sink.freed();
      break;
    default:
      event satisfies never;
  }
}
