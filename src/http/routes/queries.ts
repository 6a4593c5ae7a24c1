/** One handler for every route that asks about models and takes no slot. Knows no protocol by name. */
import { once } from 'node:events';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Milliseconds } from '../../core/clock.ts';
import {
  type House,
  isPiecewise,
  type PiecewiseAnswer,
  type PullProgress,
  type Query,
  type QueryRoute,
} from '../../protocols/query-route.ts';
import { deadlineError } from '../../serving/slot.ts';
import { type ModelRequestOptions, runModelRequest } from '../model-request.ts';

export interface QueryOptions extends ModelRequestOptions {
  readonly version: string;
  /** Since the Unix epoch. */
  readonly startedAt: Milliseconds;
  /** Fetches a catalogue model's file into the cache. Throws `forbidden` where clients may not have that done. */
  readonly pull: (name: string, signal: AbortSignal) => AsyncIterable<PullProgress>;
}

interface Exchange {
  readonly route: QueryRoute;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly options: QueryOptions;
}

const NO_WISHES = { timeoutMs: undefined, priority: undefined };

export async function handleQuery(exchange: Exchange): Promise<unknown> {
  const { route, request, reply, options } = exchange;
  const query: Query = {
    body: request.body,
    params: request.params as Query['params'],
    headers: request.headers,
  };
  if (!route.limited) return route.answer(query, houseFor(options, new AbortController().signal));
  return runModelRequest({ request, reply, options, route, wishes: NO_WISHES }, async (terms) => {
    const { cancellation, deadlineAt } = terms;
    const { clock } = options;
    const onDeadline = () => cancellation.cancel(deadlineError('Allow more time.'));
    const deadline = clock.schedule(deadlineAt - clock.now(), onDeadline);
    try {
      const answer = await route.answer(query, houseFor(options, cancellation.signal));
      if (!isPiecewise(answer)) return answer;
      // It takes as long as it takes, and tells how far it is.
      deadline.cancel();
      return await sendPieces(reply, answer);
    } finally {
      deadline.cancel();
    }
  });
}

function houseFor({ serving, clock, version, startedAt, pull }: QueryOptions, signal: AbortSignal): House {
  const models = () => serving.models();
  return {
    version,
    startedAt,
    now: clock.wallNow(),
    defaultModel: serving.defaultModel,
    models,
    requireModel: (name, matching) => {
      const { id } = serving.requireModel(name, matching);
      const found = models().find((model) => model.id === id);
      if (found === undefined) throw new Error(`the model ${id} is known and not listed`);
      return found;
    },
    tokenize: (model, request) => serving.tokenizerOf(model).encode(request, { signal }),
    detokenize: (model, tokens) => serving.tokenizerOf(model).decode(tokens, { signal }),
    pull: (name) => pull(name, signal),
  };
}

/** The 200 goes with the first piece: what fails before it has its own status. */
async function sendPieces(
  reply: FastifyReply,
  { contentType, pieces }: PiecewiseAnswer,
): Promise<FastifyReply> {
  const closed = once(reply.raw, 'close');
  const iterator = pieces[Symbol.asyncIterator]();
  const first = await iterator.next();
  const all = (async function* () {
    if (!first.done) yield first.value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  })();
  reply.type(contentType).serializer(String).send(Readable.from(all));
  await closed;
  return reply;
}
