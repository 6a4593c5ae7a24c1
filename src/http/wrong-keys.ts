/**
 * How often an address may send wrong keys. Several windows at once, each longer and with fewer for its length: the more wrong keys there
 * were, the longer it takes until the next one is looked at. Counted where limits are counted, so replicas share it if limits.store is shared.
 */
import { durationText } from '../core/duration-text.ts';
import { ServingError } from '../core/errors.ts';
import type { Charge, LimitDecision, LimitStore } from '../limits/limit-store.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Within each of them, more than so many are a 429. */
const WRONG_KEYS = [
  { name: 'minute', bound: { kind: 'window', limit: 10, windowMs: MINUTE_MS } },
  { name: 'ten_minutes', bound: { kind: 'window', limit: 20, windowMs: 10 * MINUTE_MS } },
  { name: 'hour', bound: { kind: 'window', limit: 50, windowMs: HOUR_MS } },
  { name: 'day', bound: { kind: 'window', limit: 100, windowMs: 24 * HOUR_MS } },
] as const;

/** `ended`: it was revoked, has expired, or was replaced; `blocked`: the address has sent too many. */
export type WrongKeyKind = 'invalid' | 'ended' | 'blocked';

interface WrongKeysOptions {
  readonly store: LimitStore;
  readonly onWrongKey: (kind: WrongKeyKind) => void;
}

export class WrongKeys {
  readonly #options: WrongKeysOptions;

  constructor(options: WrongKeysOptions) {
    this.#options = options;
  }

  /** Counts one, and gives the error that refuses it: at once, where the store decides at once. `rule`: which keys are accepted. */
  refusalOf(
    addressKey: string,
    rule = 'A valid key is accepted at any time.',
  ): ServingError | Promise<ServingError> {
    const charges = WRONG_KEYS.map((window) => chargeOf(window, addressKey));
    const decision = this.#options.store.decide(charges, { isFinal: true });
    return decision instanceof Promise
      ? decision.then((decided) => this.#refusal(decided, rule))
      : this.#refusal(decision, rule);
  }

  /** One that was valid once is no guess, and is not counted. */
  noteEnded(): void {
    this.#options.onWrongKey('ended');
  }

  #refusal({ admission, states }: LimitDecision, rule: string): ServingError {
    // Without a wait nothing was decided, as the shared store is away: the key is wrong all the same.
    const isBlocked = admission === undefined && states.some(({ retryInMs }) => retryInMs > 0);
    if (!isBlocked) {
      this.#options.onWrongKey('invalid');
      return new ServingError('invalid_api_key', { message: 'The API key is not valid.' });
    }
    this.#options.onWrongKey('blocked');
    const waits = states.map(({ retryInMs }) => retryInMs);
    const longest = Math.max(...waits);
    const { limit, windowMs } = (WRONG_KEYS[waits.indexOf(longest)] ?? WRONG_KEYS[0]).bound;
    return new ServingError('too_many_attempts', {
      message: `The API key is not valid, and this address has sent ${limit} invalid keys within ${durationText(windowMs)}. ${rule}`,
      retryAfterSeconds: Math.max(1, Math.ceil(longest / 1000)),
    });
  }
}

function chargeOf({ name, bound }: (typeof WRONG_KEYS)[number], addressKey: string): Charge {
  return { counter: `wrong_keys:${addressKey}:${name}`, bound, amount: 1 };
}
