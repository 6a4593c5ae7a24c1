/** Errors as the OpenAI API says them: always these four keys. */

import { Type } from 'typebox';
import { type ErrorCode, ServingError } from '../../core/errors.ts';
import type { ErrorShape } from '../protocol.ts';

/** Codes that have another name there; clients look for these. */
const CODES: Partial<Record<ErrorCode, string>> = {
  rate_limited: 'rate_limit_exceeded',
  too_many_attempts: 'rate_limit_exceeded',
  client_queue_full: 'rate_limit_exceeded',
  internal: 'server_error',
};

/** What clients look for in a message. */
const WORDS: Partial<Record<ErrorCode, string>> = {
  context_length_exceeded: 'This is beyond the model’s maximum context length',
};

const nullableText = Type.Union([Type.String(), Type.Null()]);

export const OpenAiError = Type.Object({
  error: Type.Object({
    message: Type.String(),
    type: Type.Enum([
      'invalid_request_error',
      'authentication_error',
      'permission_error',
      'rate_limit_error',
      'server_error',
    ]),
    param: nullableText,
    code: nullableText,
  }),
});

export const openAiErrors: ErrorShape = {
  schema: OpenAiError,
  render: (error) => ({ status: error.spec.status, body: openAiError(error) }),
};

export function openAiError(error: ServingError) {
  const { code, param, spec } = error;
  return {
    error: {
      message: messageOf(error),
      type: typeOf(spec.status),
      param: param ?? null,
      code: CODES[code] ?? code,
    },
  };
}

function messageOf({ code, message }: ServingError): string {
  const words = WORDS[code];
  return words === undefined ? message : `${words}: ${message}`;
}

function typeOf(status: number): string {
  if (status >= 500) return 'server_error';
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  return status === 429 ? 'rate_limit_error' : 'invalid_request_error';
}

/** The refusal of what OpenAI takes and this server, whatever the backend, does not: the field, and what to do instead. */

/** `what` follows the field: "is not supported". */
export function unsupported(param: string, what: string, advice: string): ServingError {
  return new ServingError('unsupported_parameter', { message: `${param} ${what}. ${advice}`, param });
}
