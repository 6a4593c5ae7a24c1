/** What `limits.store` may be, read into its parts. Pure; errors never repeat the address, which may have a password. */

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

interface Login {
  readonly username: string | undefined;
  readonly password: string | undefined;
}

interface Common extends Login {
  readonly isEncrypted: boolean;
  readonly database: number;
  /** The hash tag that all of our keys begin with: they are in one slot of a cluster, so that one script can use them together. */
  readonly prefix: string;
}

export type ValkeyAddress =
  | (Common & { readonly kind: 'server'; readonly endpoint: Endpoint | { readonly path: string } })
  | (Common & {
      readonly kind: 'sentinel';
      /** The sentinels. */
      readonly nodes: readonly Endpoint[];
      /** By which they know the server. */
      readonly name: string;
      readonly sentinelLogin: Login;
    })
  | (Common & { readonly kind: 'cluster'; readonly nodes: readonly Endpoint[] });

/** The message says what is wrong with the value of `limits.store`, without it. */
export class AddressError extends Error {}

const DEFAULT_PREFIX = 'llm-serve';
const DEFAULT_PORT = { server: 6379, cluster: 6379, sentinel: 26379 } as const;

/** Scheme, `s` for TLS, kind, login, hosts, path, options. */
const URL_FORM =
  /^(?:valkey|redis)(s?)(\+sentinel|\+cluster)?:\/\/(?:(.*)@)?([^/?@]*)(\/[^?]*)?(?:\?(.*))?$/s;
const UNIX_FORM = /^unix:(?:\/\/(?=\/))?([^?]+)(?:\?(.*))?$/s;
const HOST_FORM = /^(\[[\da-f:.%a-z]+\]|[^:[\]\s]+)(?::(\d+))?$/i;

const OPTIONS = {
  server: ['prefix'],
  unix: ['prefix', 'username', 'password', 'database'],
  sentinel: ['prefix', 'sentinel_username', 'sentinel_password'],
  cluster: ['prefix'],
} as const;

/** Throws an AddressError. */
export function parseValkeyAddress(address: string): ValkeyAddress {
  const unix = UNIX_FORM.exec(address);
  if (unix) return unixAddress(unix[1] ?? '', unix[2] ?? '');
  const parts = URL_FORM.exec(address);
  if (!parts)
    throw new AddressError(
      'must be memory:, valkey://HOST:PORT, valkeys:// for TLS, unix:PATH, valkey+sentinel://HOST:PORT,HOST:PORT/NAME or valkey+cluster://HOST:PORT,HOST:PORT (or redis in place of valkey).',
    );
  const [, secure, form = '', login, hosts = '', path = '', query = ''] = parts;
  const kind = form === '+sentinel' ? 'sentinel' : form === '+cluster' ? 'cluster' : 'server';
  const options = optionsOf(query, OPTIONS[kind]);
  const nodes = hosts.split(',').map((host) => endpointOf(host, DEFAULT_PORT[kind]));
  const segments = path.split('/').slice(1).filter(Boolean).map(decoded);
  const common = { ...loginOf(login), isEncrypted: secure === 's', prefix: prefixOf(options) };
  const [first] = nodes;
  switch (kind) {
    case 'server': {
      if (first === undefined || nodes.length > 1)
        throw new AddressError(
          'has several hosts: they need valkey+sentinel:// or valkey+cluster:// in place of valkey://.',
        );
      if (segments.length > 1) throw tooLong();
      return { kind, ...common, endpoint: first, database: databaseOf(segments[0]) };
    }
    case 'sentinel': {
      const [name, database, ...more] = segments;
      if (name === undefined)
        throw new AddressError('lacks the name by which the sentinels know the server: …/NAME at its end.');
      if (more.length > 0) throw tooLong();
      const sentinelLogin = {
        username: options.get('sentinel_username'),
        password: options.get('sentinel_password'),
      };
      return { kind, ...common, nodes, name, sentinelLogin, database: databaseOf(database) };
    }
    case 'cluster':
      if (segments.length > 0)
        throw new AddressError(
          'has something behind the hosts: a cluster has one database, without a number.',
        );
      return { kind, ...common, nodes, database: 0 };
  }
}

/** For logs and errors: without login and options. */
export function shownAddress(address: ValkeyAddress): string {
  const secure = address.isEncrypted ? 's' : '';
  const hosts = (nodes: readonly Endpoint[]) => nodes.map(({ host, port }) => `${bracketed(host)}:${port}`);
  switch (address.kind) {
    case 'server': {
      const { endpoint } = address;
      return 'path' in endpoint ? `unix:${endpoint.path}` : `valkey${secure}://${hosts([endpoint])}`;
    }
    case 'sentinel':
      return `valkey${secure}+sentinel://${hosts(address.nodes)}/${address.name}`;
    case 'cluster':
      return `valkey${secure}+cluster://${hosts(address.nodes)}`;
  }
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function unixAddress(path: string, query: string): ValkeyAddress {
  const options = optionsOf(query, OPTIONS.unix);
  return {
    kind: 'server',
    endpoint: { path },
    username: options.get('username'),
    password: options.get('password'),
    isEncrypted: false,
    database: databaseOf(options.get('database')),
    prefix: prefixOf(options),
  };
}

function tooLong(): AddressError {
  return new AddressError('has more than the number of a database at its end.');
}

function endpointOf(text: string, defaultPort: number): Endpoint {
  const parts = HOST_FORM.exec(text);
  if (!parts)
    throw new AddressError(
      text === '' ? 'lacks a host.' : 'has a host that is not HOST:PORT (an IPv6 address needs brackets).',
    );
  const port = Number(parts[2] ?? defaultPort);
  if (port < 1 || port > 65_535) throw new AddressError('has a port that is not between 1 and 65535.');
  return { host: (parts[1] ?? '').replace(/^\[|\]$/g, ''), port };
}

/** `user:password@`, `:password@`, or `password@`, which is what people write who know no user. */
function loginOf(text: string | undefined): Login {
  if (text === undefined || text === '') return { username: undefined, password: undefined };
  const colon = text.indexOf(':');
  if (colon < 0) return { username: undefined, password: decoded(text) };
  return { username: decoded(text.slice(0, colon)) || undefined, password: decoded(text.slice(colon + 1)) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new AddressError('has a % that begins no escape: write %25 for a % itself.');
  }
}

function optionsOf(query: string, known: readonly string[]): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  for (const pair of query.split('&').filter(Boolean)) {
    const equals = pair.indexOf('=');
    const name = equals < 0 ? pair : pair.slice(0, equals);
    if (equals < 0 || !known.includes(name))
      throw new AddressError(
        `has an unknown option behind its question mark; known here: ${known.join(', ')}.`,
      );
    options.set(name, decoded(pair.slice(equals + 1)));
  }
  return options;
}

function prefixOf(options: ReadonlyMap<string, string>): string {
  const prefix = options.get('prefix') ?? DEFAULT_PREFIX;
  if (!/^[\w.-]{1,64}$/.test(prefix))
    throw new AddressError('has a prefix that is not 1 to 64 letters, digits, dots, hyphens or underscores.');
  return prefix;
}

function databaseOf(text: string | undefined): number {
  if (text === undefined) return 0;
  if (!/^\d{1,4}$/.test(text)) throw new AddressError('has a database that is not a number.');
  return Number(text);
}
