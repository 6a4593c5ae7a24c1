/** One handler for every route that generates: parse, generate, answer whole or as a stream. Knows no protocol by name. */
import type { Milliseconds } from '../../core/clock.ts';
import { ServingError, toServingError } from '../../core/errors.ts';
import type { GenerationEvent } from '../../core/generation.ts';
import { type GenerationResult, ResultBuilder } from '../../core/generation.ts';
import { type QueuePosition, timingsOf } from '../../core/request-trace.ts';
import { renameErrorField } from '../../protocols/field-errors.ts';
import type {
  AnswerContext,
  FieldNames,
  GenerationRoute,
  ParsedGeneration,
  StreamEncoder,
} from '../../protocols/protocol.ts';
import { type ChoicesSink, type Pausable, startChoices } from '../../serving/choices.ts';
import type { RequestContext } from '../context.ts';
import {
  type ModelCall,
  type ModelRequestOptions,
  newModelRequestId,
  runModelRequest,
} from '../model-request.ts';
import { StreamWriter } from '../stream-writer.ts';

export interface GenerationOptions extends ModelRequestOptions {
  readonly defaultMaxTokens: number;
  readonly heartbeatMs: Milliseconds;
  readonly streamBufferBytes: number;
  readonly stalledReaderMs: Milliseconds;
}

interface GenerationExchange {
  readonly route: GenerationRoute;
  readonly context: RequestContext;
  readonly options: GenerationOptions;
}

export function handleGeneration(exchange: GenerationExchange): Promise<void> {
  const { route, context, options } = exchange;
  const { serving, clock } = options;
  const parsed = route.parse(context.body, {
    newRequestId: () => newModelRequestId('gen'),
    requireModel: (model, matching) => serving.targets.requireModel(model, matching),
    defaultMaxTokens: options.defaultMaxTokens,
  });
  const fieldNames: FieldNames = { ...route.fieldNames, ...parsed.fieldNames };
  return runModelRequest({ context, options, route: { fieldNames }, hints: parsed }, (terms) => {
    const { trace } = terms;
    if (parsed.dropped !== undefined) trace.droppedFields = [...parsed.dropped];
    const answer: AnswerContext = {
      trace,
      createdAt: clock.wallNow(),
      timings: () => timingsOf(trace, clock.now()),
    };
    const delivery = { exchange, parsed, terms, answer, fieldNames };
    return parsed.delivery === 'stream' ? deliverStream(delivery) : deliverWhole(delivery);
  });
}

interface Delivery {
  readonly exchange: GenerationExchange;
  readonly parsed: ParsedGeneration;
  readonly terms: ModelCall;
  readonly answer: AnswerContext;
  readonly fieldNames: FieldNames;
}

/** Starts what the request asks for. */
function start(
  { exchange, parsed, terms }: Delivery,
  sink: ChoicesSink,
  onQueuePosition?: (place: QueuePosition) => void,
): Pausable {
  const { serving } = exchange.options;
  const { requests, delivery, promptTokensFirst = false } = parsed;
  const { trace, cancellation, client, priority, deadlineAt } = terms;
  // All of them hold one body.
  const heldBytes = Math.ceil((terms.heldBytes ?? 0) / Math.max(1, requests.length));
  return startChoices(
    {
      choices: requests.length,
      trace,
      cancellation,
      start: (choice, own, choiceSink) => {
        const request = requests[choice];
        if (request === undefined) throw new Error(`there is no request ${choice}`);
        // Every field by its name: what follows a spread costs a microsecond each on Node 20 (decision 0036).
        const call = {
          request,
          trace: own,
          client,
          priority,
          cancellation,
          deadlineAt,
          heldBytes,
          onQueuePosition,
          delivery,
          promptTokensFirst,
        };
        return serving.generate(call, choiceSink);
      },
    },
    sink,
  );
}

function deliverWhole(delivery: Delivery): Promise<void> {
  const { exchange, parsed, answer } = delivery;
  const folds = parsed.requests.map(() => new ResultBuilder());
  const results: GenerationResult[] = [];
  return new Promise((resolve, reject) => {
    start(delivery, {
      event: (event, choice) => {
        const result = folds[choice]?.add(event);
        if (result !== undefined) results[choice] = result;
      },
      done: () => {
        answer.trace.endedAt = exchange.options.clock.now();
        try {
          exchange.context.answerJson(200, parsed.renderer.whole(results, answer));
          resolve();
        } catch (thrown) {
          reject(thrown);
        }
      },
      fail: reject,
    });
  });
}

function deliverStream(delivery: Delivery): Promise<void> {
  return new Promise((resolve, reject) => {
    new StreamedAnswer(delivery, { resolve, reject }).start();
  });
}

/** Between the generations of one request and the socket: what they bring forth leaves in the turn in which it came. */
class StreamedAnswer implements ChoicesSink {
  readonly #delivery: Delivery;
  readonly #settle: { resolve(): void; reject(error: ServingError): void };
  readonly #encoder: StreamEncoder;
  readonly #writer: StreamWriter;
  #generations: Pausable | undefined;

  constructor(delivery: Delivery, settle: { resolve(): void; reject(error: ServingError): void }) {
    const { exchange, parsed, answer, terms } = delivery;
    const { context, options } = exchange;
    const encoder = parsed.renderer.stream(answer);
    this.#delivery = delivery;
    this.#settle = settle;
    this.#encoder = encoder;
    this.#writer = new StreamWriter({
      context,
      clock: options.clock,
      contentType: encoder.contentType,
      heartbeat: () => encoder.heartbeat(),
      heartbeatMs: options.heartbeatMs,
      bufferBytes: options.streamBufferBytes,
      stalledMs: options.stalledReaderMs,
      onFull: () => this.#generations?.pause(),
      onDrained: () => this.#generations?.resume(),
      onStalled: () =>
        terms.cancellation.cancel(
          new ServingError('client_gone', { message: 'The client stopped reading.' }),
        ),
    });
  }

  start(): void {
    const encoder = this.#encoder;
    const { request } = this.#delivery.exchange.context;
    const wantsPlace = encoder.queuePosition !== undefined && request.headers['x-queue-events'] === '1';
    const onQueuePosition = (place: QueuePosition) =>
      this.#writer.write(encoder.queuePosition?.(place) ?? '');
    this.#writer.start();
    this.#generations = start(this.#delivery, this, wantsPlace ? onQueuePosition : undefined);
  }

  event(event: GenerationEvent, choice: number): void {
    const { answer, exchange, terms } = this.#delivery;
    if (event.type === 'finish') answer.trace.endedAt = exchange.options.clock.now();
    try {
      const encoded = this.#encoder.encode(event, choice);
      if (encoded !== undefined) this.#writer.write(encoded);
    } catch (thrown) {
      terms.cancellation.cancel(toServingError(thrown));
    }
  }

  done(): void {
    this.#writer.end(this.#encoder.end());
    this.#settle.resolve();
  }

  fail(error: ServingError): void {
    const { answer, fieldNames } = this.#delivery;
    this.#writer.stop();
    if (this.#writer.committed)
      this.#writer.end(this.#encoder.error(renameErrorField(fieldNames, error), answer.trace.requestId));
    this.#settle.reject(error);
  }
}
