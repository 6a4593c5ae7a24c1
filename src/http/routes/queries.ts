/** One handler for every route that asks about models and takes no slot. Knows no protocol by name. */
import type { Milliseconds } from '../../core/clock.ts';
import {
  isStreamed,
  type PullProgress,
  type Query,
  type QueryContext,
  type QueryRoute,
  type StreamedAnswer,
} from '../../protocols/protocol.ts';
import { deadlineError } from '../../serving/slot.ts';
import type { RequestContext } from '../context.ts';
import { type ModelRequestOptions, runModelRequest } from '../model-request.ts';

export interface QueryOptions extends ModelRequestOptions {
  readonly version: string;
  /** Since the Unix epoch. */
  readonly startedAt: Milliseconds;
  /** Fetches a catalogue model's file into the cache. Throws `forbidden` where clients may not have that done. */
  readonly pull: (name: string, signal: AbortSignal) => AsyncIterable<PullProgress>;
}

interface QueryExchange {
  readonly route: QueryRoute;
  readonly context: RequestContext;
  readonly options: QueryOptions;
}

const NO_HINTS = { timeoutMs: undefined, priority: undefined };

export async function handleQuery({ route, context, options }: QueryExchange): Promise<void> {
  const query: Query = {
    body: context.body,
    params: context.match?.params ?? {},
    headers: context.request.headers,
  };
  if (!route.limited) {
    const answer = await route.answer(query, queryContext(options, new AbortController().signal));
    context.answerJson(200, answer);
    return;
  }
  await runModelRequest({ context, options, route, hints: NO_HINTS }, async (terms) => {
    const { cancellation, deadlineAt } = terms;
    const { clock } = options;
    const onDeadline = () => cancellation.cancel(deadlineError('Allow more time.'));
    const deadline = clock.schedule(deadlineAt - clock.now(), onDeadline);
    try {
      const answer = await route.answer(query, queryContext(options, cancellation.signal));
      // It takes as long as it takes, and tells how far it is.
      if (isStreamed(answer)) deadline.cancel();
      if (isStreamed(answer)) await sendPieces(context, answer);
      else context.answerJson(200, answer);
    } finally {
      deadline.cancel();
    }
  });
}

function queryContext(
  { serving, clock, version, startedAt, pull }: QueryOptions,
  signal: AbortSignal,
): House {
  const models = () => serving.targets.list();
  return {
    version,
    startedAt,
    now: clock.wallNow(),
    defaultModel: serving.targets.defaultModel,
    models,
    requireModel: (name, matching) => {
      const { id } = serving.targets.requireModel(name, matching);
      const found = models().find((model) => model.id === id);
      if (found === undefined) throw new Error(`the model ${id} is known and not listed`);
      return found;
    },
    tokenize: (model, request) => serving.targets.tokenizerOf(model).encode(request, { signal }),
    detokenize: (model, tokens) => serving.targets.tokenizerOf(model).decode(tokens, { signal }),
    pull: (name) => pull(name, signal),
  };
}

/** The 200 goes with the first piece: what fails before it has its own status. */
async function sendPieces(context: RequestContext, { contentType, pieces }: StreamedAnswer): Promise<void> {
  const { response } = context;
  const closed = new Promise<void>((resolve) => context.onClose(resolve));
  const iterator = pieces[Symbol.asyncIterator]();
  let next = await iterator.next();
  context.setHeader('content-type', contentType);
  context.begin(200);
  try {
    for (; !next.done && !response.destroyed; next = await iterator.next()) {
      if (next.value !== '') context.write(next.value);
      if (!response.writableNeedDrain) continue;
      await Promise.race([closed, new Promise((resolve) => response.once('drain', resolve))]);
    }
  } catch (thrown) {
    // An answer that was cut off must not count as ended.
    response.destroy();
    throw thrown;
  }
  if (!next.done) await iterator.return?.();
  context.end('');
  await closed;
}
