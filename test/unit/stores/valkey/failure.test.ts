import { expect, it } from 'vitest';
import { failureOf } from '../../../../src/stores/valkey/failure.ts';

function named(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}

it.each([
  [
    new Error("Stream isn't writeable and enableOfflineQueue options is false"),
    { reason: 'unreachable', mayBeDone: false, message: 'There is no connection.' },
  ],
  [
    named(
      'MaxRetriesPerRequestError',
      'Reached the max retries per request limit (which is 0). Refer to "maxRetriesPerRequest" option for details.',
    ),
    { reason: 'unreachable', mayBeDone: true, message: 'The connection was lost before the answer came.' },
  ],
  [
    new Error('connect ECONNREFUSED 127.0.0.1:6379'),
    { reason: 'unreachable', mayBeDone: true, message: 'connect ECONNREFUSED 127.0.0.1:6379.' },
  ],
  [
    Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }),
    { reason: 'unreachable', mayBeDone: true, message: 'ECONNREFUSED.' },
  ],
  [
    named('ReplyError', 'NOAUTH Authentication required.'),
    { reason: 'refused', mayBeDone: false, message: 'NOAUTH Authentication required.' },
  ],
])('says %s in words of its own, as a sentence', (error, said) => {
  expect(failureOf(error)).toMatchObject(said);
});
