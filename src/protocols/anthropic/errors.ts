/** Error bodies of the Anthropic API. They have no key for the field at fault, so the message names it. */
import { Type } from 'typebox';
import type { ErrorCode, ServingError } from '../../core/errors.ts';
import type { ErrorShape } from '../protocol.ts';

const OVERLOADED = 529;

/** Status → type; any other status has DEFAULT_TYPE. */
const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  500: 'api_error',
  502: 'api_error',
  504: 'timeout_error',
  508: 'api_error',
  [OVERLOADED]: 'overloaded_error',
};
const DEFAULT_TYPE = 'invalid_request_error';

/** What clients look for in a message. */
const WORDS: Partial<Record<ErrorCode, string>> = { context_length_exceeded: 'prompt is too long' };

/** Field at fault → a code that clients know: they then send the whole conversation instead. */
const DETAILS: ReadonlyMap<string | undefined, { readonly error_code: string }> = new Map([
  ['thread', { error_code: 'thread_unsupported_request' }],
]);

export const ErrorBody = Type.Object({
  type: Type.Literal('error'),
  error: Type.Object({
    type: Type.Enum([DEFAULT_TYPE, ...new Set(Object.values(TYPES))]),
    message: Type.String(),
    details: Type.Optional(Type.Object({ error_code: Type.Literal('thread_unsupported_request') })),
  }),
  request_id: Type.String(),
});

export const anthropicErrors: ErrorShape = {
  schema: ErrorBody,
  render: (error, requestId) => {
    const details = DETAILS.get(error.param);
    const status = error.spec.status === 503 ? OVERLOADED : error.spec.status;
    return {
      status,
      body: {
        type: 'error',
        error: {
          type: TYPES[status] ?? DEFAULT_TYPE,
          message: messageOf(error),
          ...(details !== undefined && { details }),
        },
        request_id: requestId,
      },
    };
  },
};

function messageOf({ code, message, param }: ServingError): string {
  const words = WORDS[code] ?? (param === undefined || message.includes(param) ? undefined : param);
  return words === undefined ? message : `${words}: ${message}`;
}
