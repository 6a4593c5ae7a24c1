/** Errors as the OpenAI API has them: always these four keys. */
import { Type } from 'typebox';
import { type ErrorCode, ServingError } from '../../core/errors.ts';
import type { ErrorShape } from '../protocol.ts';
import { nullable } from '../rendering.ts';

export const OpenAiError = Type.Object({
  error: Type.Object({
    message: Type.String(),
    type: Type.Enum([
      'invalid_request_error',
      'authentication_error',
      'permission_error',
      'rate_limit_error',
      'insufficient_quota',
      'server_error',
    ]),
    param: nullable(Type.String()),
    code: nullable(Type.String()),
  }),
});

export const openAiErrors: ErrorShape = {
  schema: OpenAiError,
  render: (error) => ({ status: error.spec.status, body: openAiError(error) }),
};

/** Codes that have another name there; clients look for these. */
const CODES: Partial<Record<ErrorCode, string>> = {
  rate_limited: 'rate_limit_exceeded',
  content_filtered: 'content_filter',
  too_many_attempts: 'rate_limit_exceeded',
  client_queue_full: 'rate_limit_exceeded',
  internal: 'server_error',
};

/** Codes whose type does not follow from their status: clients do not retry this one. */
const TYPES: Partial<Record<ErrorCode, string>> = { budget_exceeded: 'insufficient_quota' };

/** What clients look for at the beginning of a message. */
const MESSAGE_PREFIXES: Partial<Record<ErrorCode, string>> = {
  context_length_exceeded: 'This is beyond the model’s maximum context length',
};

export function openAiError({ code, message, param, spec: { status } }: ServingError) {
  const prefix = MESSAGE_PREFIXES[code];
  return {
    error: {
      message: prefix === undefined ? message : `${prefix}: ${message}`,
      type: TYPES[code] ?? typeOf(status),
      param: param ?? null,
      code: CODES[code] ?? code,
    },
  };
}

function typeOf(status: number): string {
  if (status >= 500) return 'server_error';
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  return status === 429 ? 'rate_limit_error' : 'invalid_request_error';
}

/**
 * Rejects what the OpenAI API has and this server does not, whatever the backend. `reason` follows the field's name and ends
 * with what to do instead: "is not supported. Use tools instead."
 */
export function unsupported(param: string, reason: string): ServingError {
  return new ServingError('unsupported_parameter', { message: `${param} ${reason}`, param });
}
