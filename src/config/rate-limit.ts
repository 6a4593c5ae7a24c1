/** Whether the limiter is on where no setting decides, and the line with which the start says so. Pure. */
import { isLoopbackHost } from './rules.ts';
import type { ConfigValues } from './schema.ts';

export interface RateLimitChoice {
  readonly enabled: boolean;
  /** Which, and why. */
  readonly notice: string;
}

/** `isSet`: the file, the environment or a flag sets a key of `rate_limit`. Any of them wants a limiter. */
export function chooseRateLimit(
  { rate_limit, auth, server }: Pick<ConfigValues, 'rate_limit' | 'auth' | 'server'>,
  isSet: boolean,
): RateLimitChoice {
  const { enabled, requests, window_seconds } = rate_limit;
  if (enabled === false) return { enabled, notice: 'Rate limit: off, as rate_limit.enabled is false.' };
  const reason = isSet ? 'rate_limit is set' : reasonByDefault({ auth, server });
  return reason === undefined
    ? {
        enabled: false,
        notice:
          'Rate limit: off, as the server listens on loopback without keys and no rate_limit key is set.',
      }
    : {
        enabled: true,
        notice: `Rate limit: ${requests} requests in ${window_seconds} seconds from each address, as ${reason}.`,
      };
}

function reasonByDefault({ auth, server }: Pick<ConfigValues, 'auth' | 'server'>): string | undefined {
  if (auth.api_keys.length > 0) return 'auth.api_keys is set';
  // A proxy on this machine brings clients from elsewhere.
  if (server.trusted_proxies.length > 0) return 'server.trusted_proxies is set';
  return isLoopbackHost(server.host) ? undefined : 'others can reach server.host';
}
