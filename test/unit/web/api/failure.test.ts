import { expect, test } from 'vitest';
import { adviceFor, failureOf, mayBeGone } from '../../../../web/api/failure.ts';

const headers = (values: Record<string, string>) => ({ get: (name: string) => values[name] ?? null });

test('a 502 that is not of the server’s own making is a server that does not answer', () => {
  expect(failureOf(502, undefined)).toMatchObject({ status: 0, code: 'unreachable', proxyStatus: 502 });
});

test.each([
  [503, 'A proxy before the server answered 503.', 'Try again in 7 seconds.'],
  [504, 'A proxy before the server waited no longer for its answer (504).', 'not sent again'],
])('a %i of a proxy is none: the request may have reached the server', (status, message, advice) => {
  const failure = failureOf(status, undefined, headers({ 'retry-after': '7' }));
  expect(failure).toMatchObject({ status, message });
  expect(adviceFor(failure)).toContain(advice);
  expect(mayBeGone(failure)).toBe(true);
});

test.each([502, 503, 504])('a %i of the server itself has its words', (status) => {
  const failure = failureOf(status, { error: { code: 'overloaded', message: 'Full.' } });
  expect(failure).toMatchObject({ status, code: 'overloaded', message: 'Full.' });
  expect(mayBeGone(failure)).toBe(false);
});

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
