/**
 * What can go wrong at a target, in the words that retries, health, metrics and logs share. One table says what each cause means
 * for another try and for the target's health.
 */

interface FailureMeaning {
  /**
   * Where the request may be tried again: `any`: elsewhere, or after a pause at the same target; `elsewhere`: never at the same
   * target; `larger`: only where the context is larger; `never`.
   */
  readonly retry: 'any' | 'elsewhere' | 'larger' | 'never';
  /** What it says of the target: `fault`: it does not work; `slow`: it may work, later; `none`: nothing. */
  readonly health: 'fault' | 'slow' | 'none';
  /** One sentence for docs/reliability.md. */
  readonly means: string;
}

export const FAILURES = {
  unreachable: {
    retry: 'any',
    health: 'fault',
    means: 'No connection: refused, timed out, or a host name that does not resolve. Nothing was sent.',
  },
  reset: {
    retry: 'any',
    health: 'fault',
    means: 'The connection was closed before the response began.',
  },
  server_error: {
    retry: 'any',
    health: 'fault',
    means: 'A status of 500 or above that no other cause is for, or the embedded engine’s own failure.',
  },
  overloaded: {
    retry: 'any',
    health: 'slow',
    means: 'Status 503, 529, 408, 409 or 425: the server cannot take the request now.',
  },
  rate_limited: { retry: 'any', health: 'slow', means: 'Status 429.' },
  loading: { retry: 'any', health: 'none', means: 'The server is still loading the model.' },
  garbage: {
    retry: 'any',
    health: 'fault',
    means: 'A response that cannot be read: no HTTP, no JSON, a wrong length, a line or event without end.',
  },
  first_token_timeout: {
    retry: 'elsewhere',
    health: 'slow',
    means: 'Nothing came within first_token_timeout_ms.',
  },
  stalled: {
    retry: 'elsewhere',
    health: 'slow',
    means: 'Nothing more came within idle_timeout_ms.',
  },
  cut: { retry: 'any', health: 'fault', means: 'The answer ended, or failed, before it was complete.' },
  engine_lost: { retry: 'any', health: 'fault', means: 'The embedded engine died or was restarted.' },
  misconfigured: {
    retry: 'elsewhere',
    health: 'fault',
    means:
      'The server rejects our key, lacks the model or the route, or answers a status that such servers do not use.',
  },
  unsupported: {
    retry: 'elsewhere',
    health: 'none',
    means: 'The target’s model does not support a field of the request, or the kind of request.',
  },
  context_too_small: {
    retry: 'larger',
    health: 'none',
    means: 'The prompt does not fit into the target’s context.',
  },
  // A client may forge the header that shows a loop, and a loop that is tried again multiplies. The probe notices a target that is
  // this server.
  loop: {
    retry: 'never',
    health: 'none',
    means: 'Status 508: the request leads back to this server, or has come through too many servers.',
  },
} as const satisfies Record<string, FailureMeaning>;

/** Absent on an error: the request itself was rejected (400, 422, a content filter), and is not tried again. */
export type FailureCause = keyof typeof FAILURES;

export function meaningOf(cause: FailureCause): FailureMeaning {
  return FAILURES[cause];
}
