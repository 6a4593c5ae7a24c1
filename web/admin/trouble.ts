/** Pure: what a failure of an admin route means, in words, and what to do about it. */
import type { FailureFacts } from '../api/failure.ts';

export type TroubleKind =
  /** Another key would help. */
  | 'key'
  /** The routes are not here: `admin.port`. */
  | 'elsewhere'
  | 'store'
  | 'gone'
  | 'other';

export interface Trouble {
  readonly kind: TroubleKind;
  readonly title: string;
  /** Empty: the server's words say it all. */
  readonly advice: string;
}

/** Refused for what was asked: asking again would change nothing, and count as another wrong key. */
export function isRefusal({ status }: FailureFacts): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

/** Of reading a section. */
export function troubleOf(failure: FailureFacts): Trouble {
  const { status, code } = failure;
  if (status === 401 || status === 403 || code === 'too_many_attempts') return KEY;
  if (status === 404 && code === 'not_found') return ELSEWHERE;
  if (code === 'store_unavailable') return STORE;
  if (status === 0 || code === 'http_503' || code === 'http_504') return GONE;
  return OTHER;
}

const KEY: Trouble = {
  kind: 'key',
  title: 'You may not see this.',
  advice: 'Enter a key that may administer, or open the page on the machine where the server runs.',
};
const ELSEWHERE: Trouble = {
  kind: 'elsewhere',
  title: 'Administration is not served at this address.',
  advice:
    'The server has an address for it alone (admin.port and admin.host): its log names it when it starts. Open the page there.',
};
const STORE: Trouble = {
  kind: 'store',
  title: 'The database can’t be reached.',
  advice: 'Keys go on working as they were last read, and usage is held back. The page tries again.',
};
const GONE: Trouble = {
  kind: 'gone',
  title: 'The server does not answer.',
  advice: 'The page tries again. What is shown below was read before.',
};
const OTHER: Trouble = { kind: 'other', title: 'This could not be read.', advice: '' };

/** Of an action: what became of it. */
export function outcomeOf({ status, code, message }: FailureFacts): string {
  if (status === 0) return `${message} Whether it was done is not known: look before you try again.`;
  if (code === 'store_unavailable') return `${message} Nothing was changed.`;
  return message;
}
