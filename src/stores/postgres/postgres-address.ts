/** The address of a PostgreSQL database, read as libpq reads it: several hosts, sockets, and TLS by `sslmode`. */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { StoreAddressError } from '../../core/store-error.ts';

export interface PostgresAddress {
  readonly hosts: readonly string[];
  readonly ports: readonly number[];
  /** Of a Unix socket, in place of hosts. */
  readonly socket: string | undefined;
  /** Undefined: as PGUSER or the operating system has it. */
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  readonly ssl: false | 'require' | 'prefer' | ConnectionOptions;
  /** Of several hosts. */
  readonly sessionAttributes: string | undefined;
  /** Settings of the session, such as search_path. */
  readonly session: Readonly<Record<string, string>>;
  /** For people: without its password. */
  readonly shown: string;
}

const DEFAULT_PORT = 5432;
/** Scheme, authority, path, query. */
const PARTS = /^postgres(?:ql)?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/;
const PARAMETERS = ['host', 'port', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'target_session_attrs'];
const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];
const SESSION_ATTRIBUTES = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'];

/** Throws a StoreAddressError that never shows the address: its password could be anywhere in it. */
export function parsePostgresAddress(address: string): PostgresAddress {
  const parts = PARTS.exec(address);
  if (parts === null)
    throw wrong(
      'must look like postgres://USER:PASSWORD@HOST:5432/DATABASE. Write special characters of the password as %XX.',
    );
  const [, authority = '', path = '', query = ''] = parts;
  const at = authority.lastIndexOf('@');
  const [user, password] = credentialsOf(at === -1 ? '' : authority.slice(0, at));
  const parameters = new Map(new URLSearchParams(query));
  const hostText = parameters.get('host') ?? decoded(authority.slice(at + 1));
  const port = portOf(parameters.get('port'));
  const isSocket = hostText.startsWith('/');
  const places = isSocket
    ? []
    : (hostText === '' ? 'localhost' : hostText).split(',').map((each) => placeOf(each, port));
  const database = decoded(path) || undefined;
  const shownHost = isSocket ? hostText : places.map((place) => `${place.host}:${place.port}`).join(',');
  return {
    hosts: places.map(({ host }) => host),
    ports: places.map((place) => place.port),
    socket: isSocket ? `${hostText}/.s.PGSQL.${port}` : undefined,
    user,
    password,
    database,
    ssl: sslOf(parameters, isSocket),
    sessionAttributes: sessionAttributesOf(parameters.get('target_session_attrs')),
    session: Object.fromEntries([...parameters].filter(([name]) => !PARAMETERS.includes(name))),
    shown: `the PostgreSQL database ${database === undefined ? '' : `${JSON.stringify(database)} `}at ${shownHost}`,
  };
}

function wrong(rule: string): StoreAddressError {
  return new StoreAddressError(`access.store is a PostgreSQL address that can’t be used: it ${rule}`);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong('has a % that two hexadecimal digits must follow; write % itself as %25.');
  }
}

function credentialsOf(text: string): readonly [string | undefined, string | undefined] {
  const colon = text.indexOf(':');
  const [user, password] = colon === -1 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
  return [decoded(user) || undefined, decoded(password) || undefined];
}

function placeOf(text: string, defaultPort: number): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*))(?::(.*))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || host === '')
    throw wrong('has no host before the port; IPv6 addresses are written in [ ].');
  return { host, port: port === undefined ? defaultPort : portOf(port) };
}

function portOf(text: string | undefined): number {
  const port = text === undefined ? DEFAULT_PORT : Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw wrong('has a port that is no number from 1 to 65535.');
  return port;
}

function sessionAttributesOf(text: string | undefined): string | undefined {
  if (text !== undefined && !SESSION_ATTRIBUTES.includes(text))
    throw wrong(`has a target_session_attrs that is none of ${SESSION_ATTRIBUTES.join(', ')}.`);
  return text === 'any' ? undefined : text;
}

/** As libpq: `prefer` where nothing is said; `require` checks no certificate, unless a root certificate is named. */
function sslOf(parameters: ReadonlyMap<string, string>, isSocket: boolean): PostgresAddress['ssl'] {
  const mode = parameters.get('sslmode') ?? (isSocket ? 'disable' : 'prefer');
  if (!SSL_MODES.includes(mode)) throw wrong(`has an sslmode that is none of ${SSL_MODES.join(', ')}.`);
  if (mode === 'disable') return false;
  const files = {
    ca: fileOf(parameters, 'sslrootcert'),
    cert: fileOf(parameters, 'sslcert'),
    key: fileOf(parameters, 'sslkey'),
  };
  const given = Object.fromEntries(Object.entries(files).filter(([, text]) => text !== undefined));
  const verifies = mode.startsWith('verify-') || files.ca !== undefined;
  if (!verifies && Object.keys(given).length === 0) return mode === 'require' ? 'require' : 'prefer';
  return {
    ...given,
    rejectUnauthorized: verifies,
    ...(mode !== 'verify-full' && { checkServerIdentity: () => undefined }),
  };
}

function fileOf(parameters: ReadonlyMap<string, string>, name: string): string | undefined {
  const path = parameters.get(name);
  if (path === undefined || path === 'system') return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw wrong(`has an ${name} that can’t be read: ${(error as Error).message}.`);
  }
}
