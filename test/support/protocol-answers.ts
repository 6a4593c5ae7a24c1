/** What the edge gives to protocols, for their unit tests: a server with one model `m`, and answers made of events. */
import { ServingError } from '../../src/core/errors.ts';
import type { GenerationEvent, GenerationRequest, RequestId } from '../../src/core/generation.ts';
import type {
  AnswerContext,
  AnswerRenderer,
  GenerationRoute,
  ParseContext,
  ParsedGeneration,
} from '../../src/protocols/protocol.ts';
import { foldEvents } from './pulled-generation.ts';

/** Ids are `gen_` and 24 digits that count up, from 1 in each context. */
export function parseContext(changes: Partial<ParseContext> = {}): ParseContext {
  let ids = 0;
  return {
    newRequestId: () => {
      ids += 1;
      return `gen_${String(ids).padStart(24, '0')}` as RequestId;
    },
    requireModel: (model = 'm') => {
      if (model !== 'm') throw new ServingError('model_not_found', { param: 'model' });
      return { id: model, contextSize: 1000 };
    },
    defaultMaxTokens: 256,
    ...changes,
  };
}

/** The first of its requests beside the rest. */
export function parseWith(
  route: Pick<GenerationRoute, 'parse'>,
  body: unknown,
  changes: Partial<ParseContext> = {},
): ParsedGeneration & { readonly request: GenerationRequest } {
  const parsed = route.parse(body, parseContext(changes));
  const [request] = parsed.requests;
  if (request === undefined) throw new Error('nothing is asked');
  return { ...parsed, request };
}

/** Field and message of the refusal. */
export function refusalWith(
  route: Pick<GenerationRoute, 'parse'>,
  body: unknown,
): { readonly code: string; readonly param: string | undefined; readonly message: string } {
  try {
    route.parse(body, parseContext());
  } catch (error) {
    if (error instanceof ServingError)
      return { code: error.code, param: error.param, message: error.message };
    throw error;
  }
  throw new Error('was accepted');
}

export const ANSWER: AnswerContext = {
  trace: { requestId: 'req_1', receivedAt: 0 },
  createdAt: 1_700_000_000_000,
  timings: () => ({ queueMs: 0, upstreamMs: 3, ttftMs: 1, generateMs: 2, gatewayMs: 0, totalMs: 3 }),
};

async function* inTurn(events: readonly GenerationEvent[]) {
  yield* events;
}

/** The whole body, of one list of events for each request. */
export async function wholeOf(
  renderer: AnswerRenderer,
  ...answers: readonly (readonly GenerationEvent[])[]
): Promise<unknown> {
  return renderer.whole(await Promise.all(answers.map((events) => foldEvents(inTurn(events)))), ANSWER);
}

/** All that a stream writes, of one list of events for each request, one after the other. */
export function streamOf(
  renderer: AnswerRenderer,
  ...answers: readonly (readonly GenerationEvent[])[]
): string {
  const encoder = renderer.stream(ANSWER);
  const pieces = answers.flatMap((events, choice) => events.map((event) => encoder.encode(event, choice)));
  return [...pieces.filter((piece) => piece !== undefined), encoder.end()].join('');
}
