/**
 * Who may call. With keys in the configuration, or once the store has held one, a request needs a key. Without, on loopback, only
 * programs and pages of this machine are allowed, and the clients of its proxies with `auth.allow_open`.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { isDeepStrictEqual } from 'node:util';
import type { KeyVerdict } from '../access/held-keys.ts';
import { type ConfiguredKey, KeyRing } from '../access/key-ring.ts';
import type { Caller } from '../core/caller.ts';
import type { Clock } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import { ownerOf } from '../core/live-feed.ts';
import type { RequestContext, Step } from './context.ts';
import { checkHostAndOrigin, refuseEmbedding } from './origins.ts';
import { ADMIN_PREFIX } from './routes/admin.ts';
import { LIVE_PATH } from './routes/live.ts';
import { METRICS_PATH } from './routes/operations.ts';
import { type EdgeSettings, madeOf } from './settings.ts';
import { comesFromElsewhere, requireThisMachine, whyNotThisMachine } from './this-machine.ts';
import type { WrongKeys } from './wrong-keys.ts';

interface AccessOptions {
  readonly clock: Clock;
  readonly settings: EdgeSettings;
  /** Of the store; those of the configuration are put in here. */
  readonly keys: KeyRing;
  readonly wrongKeys: WrongKeys;
  readonly administration: Administration;
}

/** `here`: at this address, beside everything else. `elsewhere`: at another one (`admin.port`). `only`: this is that other one. */
export type Administration = 'here' | 'elsewhere' | 'only';

/** Probes need no key; neither do pages that show nothing but what the source code shows, with their files. */
const OPEN_PATHS = ['/health', '/ready', '/', '/docs', '/openapi.json'];
const OPEN_PREFIXES = ['/docs/', '/assets/'];

export function accessStep({ clock, settings, keys, wrongKeys, administration }: AccessOptions): Step {
  const apiKeys = madeOf(
    () => settings.apiKeys,
    (configured) => {
      keys.setConfigured(configured);
      return keys;
    },
  );
  const adminKeys = madeOf(() => settings.adminKeys, ringOf);
  const callerBy = (key: string): Caller | undefined => knownBy(apiKeys(), key, clock);
  const adminBy = (key: string): Caller | undefined => {
    const caller = knownBy(adminKeys(), key, clock) ?? callerBy(key);
    return caller?.mayAdmin === true ? caller : undefined;
  };
  const hasAdminKeys = (): boolean => settings.adminKeys.length > 0 || apiKeys().hasAdmin;
  /** Notes whose key it is, or refuses the request: only then it may have to wait. */
  const requireKey = (
    context: RequestContext,
    callerOf: (key: string) => Caller | undefined,
    kind: 'API key' | 'admin key',
  ): void | Promise<void> => {
    const sent = keysOf(context.request.headers);
    // A valid key is accepted whatever was sent before it, and is not counted.
    for (const key of sent) {
      const caller = callerOf(key);
      if (caller !== undefined) return context.setCaller(caller);
    }
    if (sent.length === 0) throw missingKey(kind);
    for (const key of sent) {
      const { kind: verdict } = apiKeys().find(key, clock.wallNow());
      if (knownBy(adminKeys(), key, clock) !== undefined) return refuseAdminKey(context);
      if (verdict === 'known') throw new ServingError('forbidden', { message: MAY_NOT_ADMINISTER });
      const message = ENDED_KEYS[verdict];
      if (message === undefined) continue;
      wrongKeys.noteEnded();
      throw new ServingError('revoked_api_key', { message });
    }
    return thrown(wrongKeys.refusalOf(context.addressKey));
  };
  /** Who may administer sees all requests; behind API keys, that is who has an admin key. */
  const seesAll = (context: RequestContext): boolean => {
    if (hasAdminKeys()) return keysOf(context.request.headers).some((key) => adminBy(key) !== undefined);
    if (apiKeys().isShut) return false;
    return whyNotThisMachine(context.request, settings) === undefined;
  };
  /** What `seesAll` is asked must cost a guess as much as elsewhere: a key that is sent and not known is refused, beside a valid one too. */
  const refusalOfGuess = ({
    request,
    addressKey,
  }: RequestContext): ServingError | Promise<ServingError> | undefined => {
    if (!hasAdminKeys()) return undefined;
    const isUnknown = (key: string) => adminBy(key) === undefined && callerBy(key) === undefined;
    if (!keysOf(request.headers).some(isUnknown)) return undefined;
    return wrongKeys.refusalOf(addressKey, 'Here each key that is sent must be a valid one.');
  };
  /** By the route that answers: the path may be spelled in many ways. */
  const isForAdministrators = ({ routePath, path }: RequestContext): boolean => {
    if (administration === 'only') return !isOpen(path);
    return administration === 'here' && routePath.startsWith(ADMIN_PREFIX);
  };
  const isOpenMetrics = ({ routePath }: RequestContext): boolean =>
    settings.metricsAreOpen && routePath === METRICS_PATH;
  const requireAdministrator = (context: RequestContext): void | Promise<void> => {
    if (!hasAdminKeys()) return requireThisMachine(context, settings);
    // What Prometheus is given needs to open nothing else.
    const isMetrics = context.routePath === METRICS_PATH;
    return requireKey(context, isMetrics ? (key) => callerBy(key) ?? adminBy(key) : adminBy, 'admin key');
  };
  return (context: RequestContext) => {
    const { trace } = context;
    if (isForAdministrators(context)) {
      refuseEmbedding(context.request.headers, context.path);
      return requireAdministrator(context);
    }
    const isLive = context.routePath === LIVE_PATH;
    if (isLive) {
      refuseEmbedding(context.request.headers, LIVE_PATH);
      const refusal = refusalOfGuess(context);
      if (refusal !== undefined) return thrown(refusal);
    }
    const isAdmin = isLive && seesAll(context);
    if (apiKeys().isShut) {
      const needsNone = isAdmin || isOpen(context.path) || isOpenMetrics(context);
      const waited = needsNone ? undefined : requireKey(context, callerBy, 'API key');
      // It is refused.
      if (waited !== undefined) return waited;
    } else if (settings.onLoopback) {
      if (!comesFromElsewhere(context, settings)) checkHostAndOrigin(context.request.headers, settings);
      else if (!settings.allowsOpen && !isOpen(context.path) && !isOpenMetrics(context))
        throw notThisMachine(context);
    }
    if (isLive && !isAdmin) context.seesOnly = ownerOf(trace);
  };
}

/** Who sends such a key had it once: it is told what became of it. */
const ENDED_KEYS: Readonly<Partial<Record<KeyVerdict['kind'], string>>> = {
  revoked: 'This API key was revoked. Ask the operator of this server for another one.',
  expired: 'This API key has expired. Ask the operator of this server for another one.',
  unreadable:
    'What this API key may do can’t be read from the store of this server, so it is refused. Ask the operator of this server for another one.',
  replaced: 'This API key was replaced by a newer one (rotated). Use the newer one.',
};

const ADMIN_KEYS = 'a key of auth.admin_keys, or one made with llm-serve keys create --may-admin';
const MAY_NOT_ADMINISTER = `This API key may not administer the server. Use ${ADMIN_KEYS}.`;

/**
 * Of the configuration, where it opens nothing. It is no guess, so it is not counted, and a path that is not served here is told so, as
 * to who has an API key. 401: pages ask for the other key then.
 */
function refuseAdminKey({ match }: RequestContext): void {
  if (match !== undefined)
    throw new ServingError('invalid_api_key', {
      message: 'A key of auth.admin_keys opens the routes under /admin alone. Send an API key.',
    });
}

function ringOf(configured: readonly ConfiguredKey[]): KeyRing {
  const ring = new KeyRing();
  ring.setConfigured(configured, { mayAdmin: true });
  return ring;
}

function knownBy(ring: KeyRing, key: string, clock: Clock): Caller | undefined {
  const verdict = ring.find(key, clock.wallNow());
  return verdict.kind === 'known' ? verdict.caller : undefined;
}

/** Whether the same keys, programs and pages may call. */
export function isSameAccess(one: EdgeSettings, other: EdgeSettings): boolean {
  const accessOf = (settings: EdgeSettings) => {
    const { apiKeys, adminKeys, allowsOpen, trustedProxies, trustedHops, corsOrigins } = settings;
    return [apiKeys, adminKeys, allowsOpen, trustedProxies, trustedHops, corsOrigins];
  };
  return isDeepStrictEqual(accessOf(one), accessOf(other));
}

function isOpen(path: string): boolean {
  return OPEN_PATHS.includes(path) || OPEN_PREFIXES.some((prefix) => path.startsWith(prefix));
}

/** Without keys, for who comes through a proxy on this machine. */
function notThisMachine({ clientAddress }: RequestContext): ServingError {
  return new ServingError('forbidden', {
    message: `The request comes from ${clientAddress}, through a proxy. Without keys, only programs of the server’s own machine may call. Make a key (llm-serve keys create --name NAME, or auth.api_keys), or set auth.allow_open: true if all who reach the proxy may.`,
  });
}

function missingKey(kind: 'API key' | 'admin key'): ServingError {
  const what = kind === 'admin key' ? `An admin key is required: ${ADMIN_KEYS}` : 'An API key is required';
  return new ServingError('missing_api_key', {
    message: `${what}. Send it as "Authorization: Bearer KEY" or "x-api-key: KEY".`,
  });
}

/** Throws it, once it is there. */
function thrown(refusal: ServingError | Promise<ServingError>): Promise<never> {
  if (refusal instanceof ServingError) throw refusal;
  return refusal.then((error) => {
    throw error;
  });
}

/** Clients with two settings for a key may send something else in one of them. */
function keysOf(headers: IncomingHttpHeaders): string[] {
  const keys: string[] = [];
  const { authorization } = headers;
  const bearer = authorization && /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
  for (const key of [bearer, headers['x-api-key'], headers['api-key']])
    if (typeof key === 'string' && key !== '') keys.push(key);
  return keys;
}
