/** The door. With keys: a known one is needed. Without, on loopback: only pages and programs of this machine get in. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import ipaddr from 'ipaddr.js';
import { ServingError } from '../../core/errors.ts';
import { pathOf } from '../request-scope.ts';

export interface AccessOptions {
  readonly apiKeys: readonly string[];
  readonly corsOrigins: readonly string[];
  /** The server listens on this machine alone. */
  readonly onLoopback: boolean;
}

/** Probes need no key; nor do pages that say nothing of this server but what its source says. */
const OPEN_PATHS = ['/health', '/ready', '/', '/openapi.json'];
const OPEN_PREFIX = '/docs';
/** What nearly every request says; others are taken apart. */
const USUAL_LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/;

export function addAccess(server: FastifyInstance, options: AccessOptions): void {
  if (options.apiKeys.length > 0) {
    const knownHashes = options.apiKeys.map(hash);
    server.addHook('onRequest', (request, _reply, done) => {
      if (!isOpen(pathOf(request))) checkKey(request, knownHashes);
      done();
    });
  } else if (options.onLoopback) {
    server.addHook('onRequest', (request, _reply, done) => {
      checkPlaceOfOrigin(request, options.corsOrigins);
      done();
    });
  }
}

function isOpen(path: string): boolean {
  return OPEN_PATHS.includes(path) || path === OPEN_PREFIX || path.startsWith(`${OPEN_PREFIX}/`);
}

function checkKey(request: FastifyRequest, knownHashes: readonly Buffer[]): void {
  const key = keyOf(request);
  if (key === undefined) {
    throw new ServingError('missing_api_key', {
      message: 'An API key is required. Send it as "Authorization: Bearer KEY" or "x-api-key: KEY".',
    });
  }
  // Hashes have equal length and every known one is compared, so the time says nothing about the keys.
  const given = hash(key);
  const matches = knownHashes.filter((known) => timingSafeEqual(known, given));
  if (matches.length === 0)
    throw new ServingError('invalid_api_key', { message: 'The API key is not known to this server.' });
}

function keyOf({ headers }: FastifyRequest): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
  if (bearer !== undefined) return bearer;
  const header = headers['x-api-key'];
  return typeof header === 'string' && header !== '' ? header : undefined;
}

function hash(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

function checkPlaceOfOrigin({ headers }: FastifyRequest, corsOrigins: readonly string[]): void {
  const { host, origin } = headers;
  if (
    host !== undefined &&
    !USUAL_LOOPBACK_HOST.test(host) &&
    !isLoopbackName(hostNameOf(`http://${host}`)) &&
    !isListedHost(host, corsOrigins)
  ) {
    throw new ServingError('forbidden', {
      message: `The Host ${JSON.stringify(host)} is not this machine. Use localhost, or set auth.api_keys to serve other names.`,
    });
  }
  if (origin === undefined || isLoopbackName(hostNameOf(origin))) return;
  if (corsOrigins.includes('*') || corsOrigins.includes(origin)) return;
  throw new ServingError('forbidden', {
    message: `Pages of the origin ${JSON.stringify(origin)} may not use this server. Add it to server.cors_origins to let them.`,
  });
}

function isListedHost(host: string, corsOrigins: readonly string[]): boolean {
  return (
    corsOrigins.includes('*') || corsOrigins.some((origin) => origin.replace(/^https?:\/\//, '') === host)
  );
}

function hostNameOf(url: string): string | undefined {
  try {
    return new URL(url).hostname.replace(/^\[|\]$/g, '');
  } catch {
    return undefined;
  }
}

function isLoopbackName(name: string | undefined): boolean {
  if (name === undefined) return false;
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  return ipaddr.isValid(name) && ipaddr.process(name).range() === 'loopback';
}
