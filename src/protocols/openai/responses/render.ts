/**
 * Responses, whole and as a stream. A stream that succeeds ends with `response.completed` or `response.incomplete`; one that
 * fails ends with `response.failed` and an `error` event: readers of the events find the first, and the official clients
 * throw at the second, which has what went wrong both as it is documented (in the event) and where they look (in `error`).
 */
import type { ServingError } from '../../../core/errors.ts';
import type { GenerationEvent, GenerationRequest } from '../../../core/generation.ts';
import type { GenerationResult } from '../../../core/generation-result.ts';
import type { AnswerContext, AnswerRenderer, StreamEncoder } from '../../generation-route.ts';
import { SSE, SSE_HEARTBEAT } from '../../server-sent-events.ts';
import { openAiError } from '../errors.ts';
import type { AnsweredAs } from './answered-as.ts';
import { numberedEvents } from './numbered-events.ts';
import { incompleteness, outputOf } from './output-items.ts';
import { type ResponseBody, type ResponseFrame, type ResponseState, responseBody } from './response-frame.ts';
import { streamedOutput } from './streamed-output.ts';

interface Rendered {
  readonly request: GenerationRequest;
  readonly frame: ResponseFrame;
  readonly answered: AnsweredAs;
}

export function responsesRenderer(
  request: GenerationRequest,
  frame: ResponseFrame,
  answered: AnsweredAs,
): AnswerRenderer {
  const rendered = { request, frame, answered };
  return {
    whole: ([result], answer) => renderWhole(rendered, result as GenerationResult, answer),
    stream: (answer) => responseStream(rendered, answer),
  };
}

function renderWhole(
  { request, frame, answered }: Rendered,
  result: GenerationResult,
  answer: AnswerContext,
): ResponseBody {
  const output = outputOf(request.id, result, answered);
  return responseBody(frame, { ...endOf(result.finishReason), output, usage: result.usage }, answer);
}

function responseStream({ request, frame, answered }: Rendered, answer: AnswerContext): StreamEncoder {
  const events = numberedEvents();
  const output = streamedOutput(events, request.id, answered);
  let finish: Extract<GenerationEvent, { readonly type: 'finish' }> | undefined;
  let begun = false;

  const respond = (type: string, state: ResponseState) =>
    events.event(`response.${type}`, { response: responseBody(frame, state, answer) });
  /** What every stream begins with, in front of what comes first: the commit waits for that. */
  const begin = () => {
    if (begun) return '';
    begun = true;
    const state: ResponseState = { status: 'in_progress', output: [] };
    return respond('created', state) + respond('in_progress', state);
  };

  return {
    contentType: SSE,
    encode: (event) => {
      switch (event.type) {
        case 'start':
          return undefined;
        case 'finish': {
          finish = event;
          const isCut = incompleteness(event.reason) !== null;
          return begin() + output.close(isCut ? 'incomplete' : 'completed');
        }
        default:
          return begin() + output.add(event) || undefined;
      }
    },
    end: () => {
      if (finish === undefined) throw new Error('a stream without a finish is no success');
      const state = endOf(finish.reason);
      return respond(state.status, { ...state, output: output.items(state.status), usage: finish.usage });
    },
    error: (error) =>
      begin() +
      respond('failed', { status: 'failed', output: output.items('incomplete'), error: failureOf(error) }) +
      errorEvent(error),
    heartbeat: () => SSE_HEARTBEAT,
  };

  function errorEvent(error: ServingError): string {
    const { message, code, param, type } = openAiError(error).error;
    return events.event('error', { code, message, param, error: { message, type, param, code } });
  }
}

function endOf(reason: GenerationResult['finishReason']) {
  const incomplete_details = incompleteness(reason);
  return { status: incomplete_details === null ? 'completed' : 'incomplete', incomplete_details } as const;
}

/** The codes that a failed response may have; there are no finer ones for what can fail here. */
function failureOf({ message, spec: { status } }: ServingError): NonNullable<ResponseBody['error']> {
  if (status === 429) return { code: 'rate_limit_exceeded', message };
  return { code: status < 500 ? 'invalid_prompt' : 'server_error', message };
}
