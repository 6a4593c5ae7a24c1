import { expect, test } from 'vitest';
import { adviceFor, failureOf } from '../../../../web/api/failure.ts';

const headers = (values: Record<string, string>) => ({ get: (name: string) => values[name] ?? null });

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
  [{ error: {} }, 'The server answered 502.'],
  ['<html>', 'The server answered 502.'],
  [undefined, 'The server answered 502.'],
])('of a body %j the person sees %s', (body, message) => {
  expect(failureOf(502, body).message).toBe(message);
});
