/**
 * One handler for every route that generates: parse, generate, answer whole or as a stream. Knows no protocol by name.
 * Invariant: each request's cancellation is aborted when its client leaves, and its end is counted exactly once.
 */
import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock, Milliseconds } from '../../core/clock.ts';
import { ServingError, toServingError } from '../../core/errors.ts';
import type { GenerationEvent, RequestId } from '../../core/generation.ts';
import { foldEvents } from '../../core/generation-result.ts';
import { type Receipt, timingsOf } from '../../core/receipt.ts';
import type { AnswerContext, GenerationRoute, ParsedGeneration } from '../../protocols/generation-route.ts';
import type { Serving } from '../../serving/serving.ts';
import { EventWriter } from '../event-writer.ts';
import { describeGeneration } from '../plugins/api-docs.ts';

export interface GenerationOptions {
  readonly clock: Clock;
  readonly serving: Serving;
  readonly routes: readonly GenerationRoute[];
  readonly defaultMaxTokens: number;
  readonly requestTimeoutMs: Milliseconds;
  readonly heartbeatMs: Milliseconds;
  readonly streamBufferBytes: number;
  readonly stalledReaderMs: Milliseconds;
}

export function addGenerationRoutes(server: FastifyInstance, options: GenerationOptions): void {
  for (const route of options.routes) {
    server.route({
      method: route.method,
      url: route.path,
      schema: describeGeneration(route),
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
  const { receipt } = request.scope;
  const { serving, clock } = options;
  const parsed = route.parse(request.body, {
    requestId: newGenerationId(),
    defaultModel: serving.defaultModel,
    requireModel: (model) => serving.requireModel(model),
    defaultMaxTokens: options.defaultMaxTokens,
  });
  const cancellation = new AbortController();
  const leave = serving.drain.enter({ receipt, cancellation });
  const onClose = () => {
    if (!reply.raw.writableEnded) cancellation.abort(new ServingError('client_gone'));
  };
  reply.raw.on('close', onClose);
  const events = serving.generate({
    request: parsed.request,
    receipt,
    cancellation,
    deadlineAt:
      receipt.receivedAt + Math.min(parsed.timeoutMs ?? Number.POSITIVE_INFINITY, options.requestTimeoutMs),
  });
  const answer: AnswerContext = {
    request: parsed.request,
    receipt,
    timings: () => timingsOf(receipt, clock.now()),
  };
  try {
    return await deliver({ exchange, parsed, events, answer });
  } catch (thrown) {
    const error = toServingError(thrown);
    receipt.errorCode = error.code;
    if (cancellation.signal.aborted) noteCancelPhase(receipt);
    throw error;
  } finally {
    receipt.endedAt ??= clock.now();
    reply.raw.off('close', onClose);
    leave();
  }
}

interface Delivery {
  readonly exchange: Exchange;
  readonly parsed: ParsedGeneration;
  readonly events: AsyncIterable<GenerationEvent>;
  readonly answer: AnswerContext;
}

async function deliver({ exchange, parsed, events, answer }: Delivery): Promise<unknown> {
  const { route, options } = exchange;
  if (parsed.delivery === 'stream') return stream({ exchange, parsed, events, answer });
  const result = await foldEvents(events);
  answer.receipt.endedAt = options.clock.now();
  return route.whole(result, answer);
}

async function stream({ exchange, events, answer }: Delivery): Promise<FastifyReply> {
  const { route, reply, options } = exchange;
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
  writer.start();
  try {
    for await (const event of events) {
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

function noteCancelPhase(receipt: Receipt): void {
  if (receipt.dispatchedAt === undefined) receipt.cancelPhase = 'queued';
  else receipt.cancelPhase = receipt.firstTokenAt === undefined ? 'waiting' : 'streaming';
}

function newGenerationId(): RequestId {
  return `gen_${randomUUID().replaceAll('-', '').slice(0, 24)}` as RequestId;
}
