import { describe, expect, it } from 'vitest';
import { type ErrorCode, ServingError } from '../../../../src/core/errors.ts';
import { unsupported } from '../../../../src/core/features.ts';
import { anthropicErrors } from '../../../../src/protocols/anthropic/errors.ts';
import { fieldNames } from '../../../../src/protocols/anthropic/protocol.ts';
import { renameErrorField } from '../../../../src/protocols/field-errors.ts';

const cases: readonly [ErrorCode, number, string][] = [
  ['invalid_json', 400, 'invalid_request_error'],
  ['invalid_request', 400, 'invalid_request_error'],
  ['unsupported_parameter', 400, 'invalid_request_error'],
  ['missing_api_key', 401, 'authentication_error'],
  ['invalid_api_key', 401, 'authentication_error'],
  ['forbidden', 403, 'permission_error'],
  ['not_found', 404, 'not_found_error'],
  ['model_not_found', 404, 'not_found_error'],
  ['method_not_allowed', 405, 'invalid_request_error'],
  ['body_too_large', 413, 'request_too_large'],
  ['unsupported_media_type', 415, 'invalid_request_error'],
  ['rate_limited', 429, 'rate_limit_error'],
  ['client_queue_full', 429, 'rate_limit_error'],
  ['internal', 500, 'api_error'],
  ['backend_error', 502, 'api_error'],
  ['queue_full', 529, 'overloaded_error'],
  ['model_loading', 529, 'overloaded_error'],
  ['draining', 529, 'overloaded_error'],
  ['deadline_exceeded', 504, 'timeout_error'],
];

const messageOf = (error: ServingError) =>
  (anthropicErrors.render(error, 'req_1').body as { readonly error: { readonly message: string } }).error
    .message;

describe('an error', () => {
  it.each(cases)('%s is a %i %s', (code, status, type) => {
    const { body, status: answered } = anthropicErrors.render(new ServingError(code), 'req_1');
    expect(answered).toBe(status);
    expect(body).toMatchObject({ type: 'error', error: { type }, request_id: 'req_1' });
  });

  it('names the field at fault in its message, once', () => {
    const about = (message: string) =>
      messageOf(new ServingError('invalid_request', { message, param: 'top_k' }));
    expect(about('top_k is wrong.')).toBe('top_k is wrong.');
    expect(about('Something is wrong.')).toBe('top_k: Something is wrong.');
  });

  it('tells clients that would have the server keep a conversation to send it whole', () => {
    const error = new ServingError('invalid_request', { message: 'thread is given.', param: 'thread' });
    expect(anthropicErrors.render(error, 'req_1').body).toMatchObject({
      error: { details: { error_code: 'thread_unsupported_request' } },
    });
  });

  it.each(['__proto__', 'constructor'])('has no details about a field called %s', (param) => {
    const error = new ServingError('invalid_request', { message: `${param} is nested too deeply.`, param });
    expect(anthropicErrors.render(error, 'req_1').body).not.toHaveProperty('error.details');
  });

  it('says that a prompt is too long in the words that clients look for', () => {
    const message = 'The prompt has 9 tokens, but the model’s context holds 8. Shorten the prompt.';
    expect(messageOf(new ServingError('context_length_exceeded', { message }))).toBe(
      `prompt is too long: ${message}`,
    );
  });

  it.each([
    ['stop', 'stop_sequences'],
    ['think', 'thinking'],
    ['parallel_tool_calls', 'tool_choice.disable_parallel_tool_use'],
    ['format.properties.a', 'output_config.format.schema.properties.a'],
    ['tools[1].parameters.properties.parameters', 'tools[1].input_schema.properties.parameters'],
    ['tools', 'tools'],
    ['messages[4].images', 'messages: an image'],
    ['messages[4].tool_calls', 'messages: a tool_use'],
    ['messages[4].role', 'messages: a tool_result'],
    ['top_k', 'top_k'],
  ])('about the native field %s speaks of %s', (native, name) => {
    const error = renameErrorField(
      fieldNames,
      unsupported(native, 'this model', { advice: 'Leave it away.' }),
    );
    expect(messageOf(error)).toBe(`${name} is not supported by this model. Leave it away.`);
  });
});
