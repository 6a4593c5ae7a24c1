/** Why the shared store could not decide: the reasons of metrics and logs. Pure. */

/** By what the server's error contains; where a script fails, older servers put their own words in front. */
const BY_TEXT: readonly (readonly [text: string, reason: FailureReason])[] = [
  ['WRONGPASS', 'refused'],
  ['NOAUTH', 'refused'],
  ['NOPERM', 'refused'],
  ['invalid password', 'refused'],
  ['without any password configured', 'refused'],
  ['READONLY', 'read_only'],
  ["can't write against a read only replica", 'read_only'],
  ['NOREPLICAS', 'read_only'],
  ['MISCONF', 'read_only'],
  ['OOM ', 'full'],
  ['LOADING', 'loading'],
  ['MASTERDOWN', 'loading'],
  ['BUSY', 'slow'],
  ['CLUSTERDOWN', 'unreachable'],
  ['ClusterAllFailedError', 'unreachable'],
  ['Failed to refresh slots cache', 'unreachable'],
  ['sentinels are unreachable', 'unreachable'],
];

/**
 * `slow`: no answer within the time-out. `unreachable`: no connection. `refused`: password or permission. `read_only`: a replica, or a
 * server that may not write now. `full`: out of memory. `loading`: it starts. `other`: any other error of the server.
 */
export type FailureReason = 'slow' | 'unreachable' | 'refused' | 'read_only' | 'full' | 'loading' | 'other';

export class ValkeyFailure extends Error {
  readonly reason: FailureReason;
  /** Whether the server may have done it nevertheless. */
  readonly mayBeDone: boolean;

  constructor(reason: FailureReason, message: string, { mayBeDone }: { readonly mayBeDone: boolean }) {
    // More follows it in the log.
    super(/[.!?]$/.test(message) ? message : `${message}.`);
    this.reason = reason;
    this.mayBeDone = mayBeDone;
  }
}

/**
 * `error`: what the client library rejected with. Only its message is kept: the object has the arguments of the command, of AUTH the
 * password.
 */
export function failureOf(error: unknown): ValkeyFailure {
  if (error instanceof ValkeyFailure) return error;
  const name = error instanceof Error ? error.name : '';
  const message = messageOf(error);
  const known = BY_TEXT.find(([text]) => message.includes(text) || name === text);
  if (known) return new ValkeyFailure(known[1], message, { mayBeDone: false });
  // What the server answered begins with a word in capitals, and was not done.
  if (name === 'ReplyError') return new ValkeyFailure('other', message, { mayBeDone: false });
  // What the client library says of itself names its options, not what has happened.
  if (message.includes("isn't writeable"))
    return new ValkeyFailure('unreachable', 'There is no connection.', { mayBeDone: false });
  const wasLost = name === 'MaxRetriesPerRequestError';
  return new ValkeyFailure(
    'unreachable',
    wasLost ? 'The connection was lost before the answer came.' : message,
    { mayBeDone: true },
  );
}

/** Where a name has several addresses and none answers, the message is empty. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { readonly code?: unknown };
  return error.message === '' && typeof code === 'string' ? code : error.message;
}
