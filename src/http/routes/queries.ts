/** The handler of every route that asks about models and takes no slot. Knows no protocol by name. */
import type { CallOptions } from '../../core/backend.ts';
import type { Milliseconds } from '../../core/clock.ts';
import {
  isStreamed,
  type PullProgress,
  type Query,
  type QueryContext,
  type QueryRoute,
  type StreamedAnswer,
} from '../../protocols/protocol.ts';
import { deadlineError } from '../../serving/deadline-error.ts';
import type { RequestContext } from '../context.ts';
import { type ModelRequestOptions, runModelRequest } from '../model-request.ts';

export interface QueryOptions extends ModelRequestOptions {
  readonly version: string;
  /** Since the Unix epoch. */
  readonly startedAt: Milliseconds;
  /** Fetches a catalogue model's file into the cache. Throws `forbidden` where the configuration does not allow it. */
  readonly pull: (name: string, signal: AbortSignal) => AsyncIterable<PullProgress>;
}

const NO_HINTS = { timeoutMs: undefined, priority: undefined };

export async function handleQuery({
  route,
  context,
  options,
}: {
  readonly route: QueryRoute;
  readonly context: RequestContext;
  readonly options: QueryOptions;
}): Promise<void> {
  const query: Query = {
    body: context.body,
    params: context.match?.params ?? {},
    headers: context.request.headers,
  };
  if (!route.limited) {
    const answer = await route.answer(
      query,
      queryContext(options, context, { signal: new AbortController().signal }),
    );
    context.answerJson(200, answer);
    return;
  }
  const { fieldNames } = route;
  await runModelRequest({ context, options, fieldNames, hints: NO_HINTS }, async (call) => {
    const { cancellation, deadlineAt, along } = call;
    const { clock } = options;
    const onDeadline = () => cancellation.cancel(deadlineError('Allow more time.'));
    const deadline = clock.schedule(deadlineAt - clock.now(), onDeadline);
    try {
      const answer = await route.answer(
        query,
        queryContext(options, context, { signal: cancellation.signal, along }),
      );
      if (isStreamed(answer)) {
        // It reports its progress, and may take as long as it needs.
        deadline.cancel();
        await sendPieces(context, answer);
      } else context.answerJson(200, answer);
    } finally {
      deadline.cancel();
    }
  });
}

function queryContext(
  { serving, clock, version, startedAt, pull }: QueryOptions,
  { caller }: RequestContext,
  call: CallOptions,
): QueryContext {
  const models = () => serving.targets.list(caller?.models);
  return {
    version,
    startedAt,
    now: clock.wallNow(),
    defaultModel: serving.targets.defaultModel,
    models,
    requireModel: (name, matching) => {
      const { id } = serving.targets.requireModel(name, matching, caller?.models);
      const found = models().find((model) => model.id === id);
      if (found === undefined) throw new Error(`the model ${id} is known and not listed`);
      return found;
    },
    tokenize: (model, request) => serving.targets.tokenizerOf(model).encode(request, call),
    detokenize: (model, tokens) => serving.targets.tokenizerOf(model).decode(tokens, call),
    pull: (name) => pull(name, call.signal),
  };
}

/** The 200 is sent with the first piece: a failure before it has a status of its own. */
async function sendPieces(context: RequestContext, { contentType, chunks }: StreamedAnswer): Promise<void> {
  const { response } = context;
  const closed = new Promise<void>((resolve) => context.onClose(resolve));
  const iterator = chunks[Symbol.asyncIterator]();
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
    // An answer that was cut off must not look complete.
    response.destroy();
    throw thrown;
  }
  if (!next.done) await iterator.return?.();
  context.end('');
  await closed;
}
