/** One handler for every route that generates: parse, generate, answer whole or as a stream. Knows no protocol by name. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Milliseconds } from '../../core/clock.ts';
import { toServingError } from '../../core/errors.ts';
import type { GenerationEvent } from '../../core/generation.ts';
import { foldEvents, type GenerationResult } from '../../core/generation-result.ts';
import { type QueuePlace, type Receipt, timingsOf } from '../../core/receipt.ts';
import { inWordsOf } from '../../protocols/field-names.ts';
import type { AnswerContext, GenerationRoute, ParsedGeneration } from '../../protocols/generation-route.ts';
import type { FieldNames } from '../../protocols/route-base.ts';
import { runSideBySide } from '../../serving/side-by-side.ts';
import { EventWriter } from '../event-writer.ts';
import {
  type ModelRequestOptions,
  type ModelTerms,
  newModelRequestId,
  runModelRequest,
} from '../model-request.ts';

export interface GenerationOptions extends ModelRequestOptions {
  readonly defaultMaxTokens: number;
  readonly heartbeatMs: Milliseconds;
  readonly streamBufferBytes: number;
  readonly stalledReaderMs: Milliseconds;
}

interface Exchange {
  readonly route: GenerationRoute;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly options: GenerationOptions;
}

export async function handleGeneration(exchange: Exchange): Promise<unknown> {
  const { route, request, reply, options } = exchange;
  const { serving, clock } = options;
  const parsed = route.parse(request.body, {
    newRequestId: () => newModelRequestId('gen'),
    requireModel: (model, matching) => serving.requireModel(model, matching),
    defaultMaxTokens: options.defaultMaxTokens,
  });
  const fieldNames: FieldNames = { ...route.fieldNames, ...parsed.fieldNames };
  return runModelRequest({ request, reply, options, route: { fieldNames }, wishes: parsed }, (terms) => {
    const { receipt } = terms;
    if (parsed.dropped !== undefined) receipt.droppedFields = [...parsed.dropped];
    const answer: AnswerContext = {
      receipt,
      createdAt: clock.wallNow(),
      timings: () => timingsOf(receipt, clock.now()),
    };
    const deliver = parsed.delivery === 'stream' ? deliverStream : deliverWhole;
    return deliver({ exchange, parsed, terms, answer, fieldNames });
  });
}

interface Delivery {
  readonly exchange: Exchange;
  readonly parsed: ParsedGeneration;
  readonly terms: ModelTerms;
  readonly answer: AnswerContext;
  readonly fieldNames: FieldNames;
}

function running({ exchange, parsed, terms }: Delivery, onPlace?: (place: QueuePlace) => void) {
  const { serving } = exchange.options;
  const choices = parsed.requests.length;
  // All of them hold one body.
  const heldBytes = Math.ceil((terms.heldBytes ?? 0) / Math.max(1, choices));
  return {
    choices,
    receipt: terms.receipt,
    cancellation: terms.cancellation,
    start: (choice: number, receipt: Receipt): AsyncIterable<GenerationEvent> => {
      const request = parsed.requests[choice];
      if (request === undefined) throw new Error(`there is no request ${choice}`);
      const { delivery, promptTokensFirst = false } = parsed;
      return serving.generate({
        request,
        ...terms,
        heldBytes,
        receipt,
        onPlace,
        delivery,
        promptTokensFirst,
      });
    },
  };
}

async function deliverWhole(delivery: Delivery): Promise<unknown> {
  const { exchange, parsed, answer } = delivery;
  const results: GenerationResult[] = [];
  await runSideBySide(running(delivery), async (events, choice) => {
    results[choice] = await foldEvents(events);
  });
  answer.receipt.endedAt = exchange.options.clock.now();
  return parsed.renderer.whole(results, answer);
}

async function deliverStream(delivery: Delivery): Promise<FastifyReply> {
  const { exchange, parsed, answer, fieldNames } = delivery;
  const { request, reply, options } = exchange;
  const encoder = parsed.renderer.stream(answer);
  const writer = new EventWriter({
    reply,
    clock: options.clock,
    contentType: encoder.contentType,
    heartbeat: () => encoder.heartbeat(),
    heartbeatMs: options.heartbeatMs,
    bufferBytes: options.streamBufferBytes,
    stalledMs: options.stalledReaderMs,
    signal: delivery.terms.cancellation.signal,
  });
  const wantsPlace = encoder.place !== undefined && request.headers['x-queue-events'] === '1';
  // The reader being slow shows at the first token; nothing is lost by not waiting for it here.
  const onPlace = (place: QueuePlace) => void writer.write(encoder.place?.(place) ?? '')?.catch(() => {});
  writer.start();
  try {
    await runSideBySide(running(delivery, wantsPlace ? onPlace : undefined), async (events, choice) => {
      for await (const event of events) {
        if (event.type === 'finish') answer.receipt.endedAt = options.clock.now();
        const encoded = encoder.encode(event, choice);
        if (encoded === undefined) continue;
        const caughtUp = writer.write(encoded);
        if (caughtUp !== undefined) await caughtUp;
      }
    });
    writer.end(encoder.end());
  } catch (thrown) {
    writer.stop();
    if (!writer.committed) throw thrown;
    const error = inWordsOf(fieldNames, toServingError(thrown));
    writer.end(encoder.error(error, answer.receipt.requestId));
    throw thrown;
  }
  return reply;
}
