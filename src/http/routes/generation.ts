/** One handler for every route that generates: parse, generate, answer whole or as a stream. Knows no protocol by name. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Milliseconds } from '../../core/clock.ts';
import { toServingError } from '../../core/errors.ts';
import type { GenerationEvent } from '../../core/generation.ts';
import { foldEvents } from '../../core/generation-result.ts';
import { type QueuePlace, timingsOf } from '../../core/receipt.ts';
import type { AnswerContext, GenerationRoute } from '../../protocols/generation-route.ts';
import { EventWriter } from '../event-writer.ts';
import { type ModelRequestOptions, newModelRequestId, runModelRequest } from '../model-request.ts';
import { describeModelRoute } from '../plugins/api-docs.ts';

export interface GenerationOptions extends ModelRequestOptions {
  readonly routes: readonly GenerationRoute[];
  readonly defaultMaxTokens: number;
  readonly heartbeatMs: Milliseconds;
  readonly streamBufferBytes: number;
  readonly stalledReaderMs: Milliseconds;
}

export function addGenerationRoutes(server: FastifyInstance, options: GenerationOptions): void {
  for (const route of options.routes) {
    server.route({
      method: route.method,
      url: route.path,
      schema: describeModelRoute(route),
      handler: (request, reply) => handle({ route, request, reply, options }),
    });
  }
}

interface Exchange {
  readonly route: GenerationRoute;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly options: GenerationOptions;
}

async function handle(exchange: Exchange): Promise<unknown> {
  const { route, request, reply, options } = exchange;
  const { serving, clock } = options;
  const parsed = route.parse(request.body, {
    requestId: newModelRequestId('gen'),
    defaultModel: serving.defaultModel,
    requireModel: (model) => serving.requireModel(model),
    defaultMaxTokens: options.defaultMaxTokens,
  });
  return runModelRequest({ request, reply, options, wishes: parsed }, (terms) => {
    const { receipt } = terms;
    const start: Delivery['start'] = (onPlace) =>
      serving.generate({ request: parsed.request, ...terms, onPlace });
    const answer: AnswerContext = {
      request: parsed.request,
      receipt,
      timings: () => timingsOf(receipt, clock.now()),
    };
    const deliver = parsed.delivery === 'stream' ? deliverStream : deliverWhole;
    return deliver({ exchange, start, answer });
  });
}

interface Delivery {
  readonly exchange: Exchange;
  start(onPlace?: (place: QueuePlace) => void): AsyncIterable<GenerationEvent>;
  readonly answer: AnswerContext;
}

async function deliverWhole({ exchange, start, answer }: Delivery): Promise<unknown> {
  const { route, options } = exchange;
  const result = await foldEvents(start());
  answer.receipt.endedAt = options.clock.now();
  return route.whole(result, answer);
}

async function deliverStream({ exchange, start, answer }: Delivery): Promise<FastifyReply> {
  const { route, request, reply, options } = exchange;
  const encoding = route.stream;
  const writer = new EventWriter({
    reply,
    clock: options.clock,
    contentType: encoding.contentType,
    heartbeat: encoding.heartbeat,
    heartbeatMs: options.heartbeatMs,
    bufferBytes: options.streamBufferBytes,
    stalledMs: options.stalledReaderMs,
  });
  const { place: encodePlace } = encoding;
  const wantsPlace = encodePlace !== undefined && request.headers['x-queue-events'] === '1';
  // The reader being slow shows at the first token; nothing is lost by not waiting for it here.
  const onPlace = (place: QueuePlace) => void writer.write(encodePlace?.(place) ?? '').catch(() => {});
  writer.start();
  try {
    for await (const event of start(wantsPlace ? onPlace : undefined)) {
      if (event.type === 'finish') answer.receipt.endedAt = options.clock.now();
      const encoded = encoding.encode(event, answer);
      if (encoded !== undefined) await writer.write(encoded);
    }
    writer.end(encoding.end(answer));
  } catch (thrown) {
    writer.stop();
    if (!writer.committed) throw thrown;
    const error = toServingError(thrown);
    writer.end(encoding.error(error, answer.receipt.requestId));
    throw error;
  }
  return reply;
}
