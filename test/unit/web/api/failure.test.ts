import { expect, test } from 'vitest';
import { adviceFor, failureOf } from '../../../../web/api/failure.ts';

const headers = (values: Record<string, string>) => ({ get: (name: string) => values[name] ?? null });

test.each([502, 503, 504])(
  'a %s that is not of the server’s own making is a server that does not answer',
  (status) => {
    expect(failureOf(status, undefined)).toMatchObject({ status: 0, code: 'unreachable' });
    expect(failureOf(status, { error: { code: 'overloaded', message: 'Full.' } })).toMatchObject({
      status,
      code: 'overloaded',
    });
  },
);

test('a refusal has the server’s words, and says when to try again', () => {
  const failure = failureOf(
    429,
    { error: { code: 'rate_limited', message: 'Too many requests.' } },
    headers({ 'retry-after': '7', 'x-request-id': 'req_1' }),
  );
  expect(failure).toMatchObject({
    code: 'rate_limited',
    message: 'Too many requests.',
    retryAfterSeconds: 7,
    requestId: 'req_1',
  });
  expect(adviceFor(failure)).toBe('Try again in 7 seconds.');
});

test.each([
  [{ error: 'plain words' }, 'plain words'],
  [{ error: {} }, 'The server answered 500.'],
  ['<html>', 'The server answered 500.'],
  [undefined, 'The server answered 500.'],
])('of a body %j the person sees %s', (body, message) => {
  expect(failureOf(500, body).message).toBe(message);
});
