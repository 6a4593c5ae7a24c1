/**
 * One handler for every route that generates: parse, generate, answer whole or as a stream. Knows no protocol by name.
 * Invariant: each request's cancellation is aborted when its client leaves, and its end is counted exactly once.
 */
import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock, Milliseconds } from '../../core/clock.ts';
import { type ErrorCode, ServingError, toServingError } from '../../core/errors.ts';
import type { GenerationEvent, RequestId } from '../../core/generation.ts';
import { foldEvents } from '../../core/generation-result.ts';
import { type QueuePlace, type Receipt, timingsOf } from '../../core/receipt.ts';
import type { AnswerContext, GenerationRoute } from '../../protocols/generation-route.ts';
import type { Serving } from '../../serving/serving.ts';
import { type AddressRange, isInRanges } from '../client-address.ts';
import { EventWriter } from '../event-writer.ts';
import { describeGeneration } from '../plugins/api-docs.ts';
import { grantPriority, readWishes } from '../scheduling-wishes.ts';

export interface GenerationOptions {
  readonly clock: Clock;
  readonly serving: Serving;
  readonly routes: readonly GenerationRoute[];
  readonly defaultMaxTokens: number;
  readonly requestTimeoutMs: Milliseconds;
  /** Addresses that may ask for high priority. */
  readonly highPriorityClients: readonly AddressRange[];
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
  const wishes = readWishes(request.headers, parsed);
  const mayAskHigh = isInRanges(request.scope.clientAddress, options.highPriorityClients);
  const { priority, headers } = grantPriority(wishes.priority, { mayAskHigh });
  reply.headers(headers);
  const cancellation = new AbortController();
  const leave = serving.drain.enter({ receipt, cancellation });
  const onClose = () => {
    if (!reply.raw.writableEnded) cancellation.abort(new ServingError('client_gone'));
  };
  reply.raw.on('close', onClose);
  const timeoutMs = Math.min(wishes.timeoutMs ?? Number.POSITIVE_INFINITY, options.requestTimeoutMs);
  const start: Delivery['start'] = (onPlace) =>
    serving.generate({
      request: parsed.request,
      receipt,
      client: request.scope.clientId,
      priority,
      cancellation,
      deadlineAt: receipt.receivedAt + timeoutMs,
      onPlace,
    });
  const answer: AnswerContext = {
    request: parsed.request,
    receipt,
    timings: () => timingsOf(receipt, clock.now()),
  };
  try {
    return parsed.delivery === 'stream'
      ? await deliverStream({ exchange, start, answer })
      : await deliverWhole({ exchange, start, answer });
  } catch (thrown) {
    const error = toServingError(thrown);
    receipt.errorCode = error.code;
    if (CANCELLATIONS.has(error.code)) noteCancelPhase(receipt);
    throw error;
  } finally {
    receipt.endedAt ??= clock.now();
    reply.raw.off('close', onClose);
    leave();
  }
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

/** Ends that were somebody's decision, not the backend's failure. */
const CANCELLATIONS: ReadonlySet<ErrorCode> = new Set(['client_gone', 'deadline_exceeded', 'draining']);

function noteCancelPhase(receipt: Receipt): void {
  if (receipt.dispatchedAt === undefined) receipt.cancelPhase = 'queued';
  else receipt.cancelPhase = receipt.firstTokenAt === undefined ? 'waiting' : 'streaming';
}

function newGenerationId(): RequestId {
  return `gen_${randomUUID().replaceAll('-', '').slice(0, 24)}` as RequestId;
}
