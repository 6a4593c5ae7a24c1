/** Every way in which a server fails, and the cause that retries and health get to see. */
import { describe, expect, it } from 'vitest';
import * as ollama from '../../../src/backends/ollama/errors.ts';
import * as openAi from '../../../src/backends/openai-compatible/errors.ts';
import type { ErrorCode } from '../../../src/core/errors.ts';
import type { FailureCause } from '../../../src/core/failure.ts';
import { networkError } from '../../../src/upstream/failures.ts';
import { FakeClock } from '../../support/fake-clock.ts';

type Meaning = readonly [ErrorCode, FailureCause | undefined];

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const about = { model: 'm', wallNowMs: 0 };
const context = { model: 'm', contextSize: 4096, clock: new FakeClock() };

const openAiError = ({ status, body, headers = {} }: Answer) =>
  openAi.responseError({ status, headers, body }, about);
const ollamaError = ({ status, body, headers = {} }: Answer) =>
  ollama.responseError({ status, headers, body }, context);

const SAID = { error: { message: 'something' } };

const STATUSES: readonly (readonly [number, ...Meaning])[] = [
  [301, 'backend_error', 'misconfigured'],
  [400, 'invalid_request', undefined],
  [401, 'backend_error', 'misconfigured'],
  [402, 'backend_error', 'misconfigured'],
  [403, 'backend_error', 'misconfigured'],
  [404, 'model_not_found', 'misconfigured'],
  [405, 'backend_error', 'misconfigured'],
  [408, 'no_backend_available', 'overloaded'],
  [413, 'invalid_request', undefined],
  [422, 'invalid_request', undefined],
  [429, 'upstream_rate_limited', 'rate_limited'],
  [500, 'backend_error', 'server_error'],
  [502, 'backend_error', 'server_error'],
  [503, 'no_backend_available', 'overloaded'],
  [504, 'backend_error', 'server_error'],
  [508, 'loop_detected', 'loop'],
  [529, 'no_backend_available', 'overloaded'],
];

describe.each([
  ['an OpenAI-compatible server', openAiError, SAID],
  ['Ollama', ollamaError, { error: 'something' }],
] as const)('a status of %s', (_who, errorOf, body) => {
  it.each(STATUSES)('%i is %s, caused by %s', (status, code, failure) => {
    expect(errorOf({ status, body })).toMatchObject({ code, failure });
  });

  it('429 and 503 pass on a Retry-After, and invent none', () => {
    for (const status of [429, 503]) {
      expect(errorOf({ status, body }).retryAfterSeconds).toBeUndefined();
      const headers = { 'retry-after': '7' };
      expect(errorOf({ status, body, headers }).retryAfterSeconds).toBe(7);
    }
  });
});

describe('the words of an OpenAI-compatible server', () => {
  const filtered: Meaning = ['content_filtered', undefined];
  it.each<readonly [string, Answer, Meaning]>([
    ['loading', { status: 503, body: { error: { message: 'Loading model' } } }, ['model_loading', 'loading']],
    ['no such route', { status: 404, body: { detail: 'Not Found' } }, ['backend_error', 'misconfigured']],
    [
      'the context',
      { status: 400, body: { error: { code: 'context_length_exceeded', message: 'too long' } } },
      ['context_length_exceeded', 'context_too_small'],
    ],
    [
      'a field that the model lacks',
      {
        status: 400,
        body: { error: { code: 'unsupported_parameter', param: 'temperature', message: 'no' } },
      },
      ['unsupported_parameter', 'unsupported'],
    ],
    [
      'Azure’s filter',
      { status: 400, body: { error: { code: 'content_filter', message: 'content management policy' } } },
      filtered,
    ],
    ['OpenAI’s filter', { status: 400, body: { error: { code: 'content_policy_violation' } } }, filtered],
    ['Moonshot’s filter', { status: 400, body: { error: { type: 'content_filter' } } }, filtered],
    [
      'DeepSeek’s filter',
      { status: 400, body: { error: { message: 'Content Exists Risk', code: 'invalid_request_error' } } },
      filtered,
    ],
    ['Model Studio’s filter', { status: 400, body: { error: { code: 'data_inspection_failed' } } }, filtered],
    [
      'OpenRouter’s filter',
      { status: 403, body: { error: { code: 403, message: 'no', metadata: { flagged_input: 'x' } } } },
      filtered,
    ],
    ['xAI’s filter', { status: 403, body: { error: 'Content violates usage guidelines.' } }, filtered],
    ['a guardrail', { status: 451, body: undefined }, filtered],
    [
      'a filter that itself failed',
      { status: 500, body: { error: { code: 'content_filter', message: 'filter unavailable' } } },
      ['backend_error', 'server_error'],
    ],
  ])('%s', (_what, answer, [code, failure]) => {
    expect(openAiError(answer)).toMatchObject({ code, failure });
  });

  it('an error in the middle of an answer is a cut, unless it names the context or a filter', () => {
    const meaningOf = (error: unknown) => {
      const { code, failure } = openAi.streamError({ error });
      return [code, failure];
    };
    expect(meaningOf({ message: 'CUDA error' })).toEqual(['backend_error', 'cut']);
    expect(meaningOf({ code: 'content_filter' })).toEqual(['content_filtered', undefined]);
    expect(meaningOf({ code: 'context_length_exceeded' })).toEqual([
      'context_length_exceeded',
      'context_too_small',
    ]);
  });
});

describe('a connection', () => {
  const lost = (code: string, isSent: boolean, isAnswered = false) => {
    const error = networkError(Object.assign(new Error(code), { code }), { isSent, isAnswered });
    return [error.code, error.failure];
  };
  it.each<readonly [string, boolean, boolean, ErrorCode, FailureCause]>([
    ['ECONNREFUSED', false, false, 'no_backend_available', 'unreachable'],
    ['UND_ERR_CONNECT_TIMEOUT', false, false, 'no_backend_available', 'unreachable'],
    ['ENOTFOUND', false, false, 'no_backend_available', 'unreachable'],
    ['ECONNRESET', false, false, 'no_backend_available', 'unreachable'],
    ['ECONNRESET', true, false, 'backend_error', 'reset'],
    ['UND_ERR_SOCKET', true, false, 'backend_error', 'reset'],
    ['UND_ERR_SOCKET', true, true, 'backend_error', 'cut'],
    ['HPE_INVALID_CONSTANT', true, false, 'backend_error', 'garbage'],
    ['HPE_INVALID_CHUNK_SIZE', true, true, 'backend_error', 'garbage'],
    ['UND_ERR_HEADERS_OVERFLOW', true, false, 'backend_error', 'garbage'],
    ['UND_ERR_CLOSED', false, false, 'draining', 'unreachable'],
    ['UND_ERR_DESTROYED', true, true, 'draining', 'cut'],
  ])('%s, sent: %s, answered: %s → %s, %s', (code, isSent, isAnswered, ours, failure) => {
    expect(lost(code, isSent, isAnswered)).toEqual([ours, failure]);
  });
});
