/** The address of a PostgreSQL database, read as libpq reads it: several hosts, sockets, and TLS by `sslmode`. */
import { connectTimeoutOf, isPoolerOf, parametersOf, sessionOf } from './postgres-parameters.ts';
import { type PostgresTls, tlsOf } from './postgres-tls.ts';
import { wrongAddress } from './wrong-address.ts';

export interface PostgresAddress {
  readonly hosts: readonly string[];
  readonly ports: readonly number[];
  /** Of a Unix socket, in place of hosts. */
  readonly socket: string | undefined;
  /** Undefined: as PGUSER or the operating system has it. */
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  readonly ssl: PostgresTls;
  /** Undefined: as long as a call may take. */
  readonly connectTimeoutSeconds: number | undefined;
  /** Of several hosts. */
  readonly sessionAttributes: string | undefined;
  /** Each transaction may be one of another session: whatever holds for a session must be said in each. */
  readonly isPooler: boolean;
  /** Settings of the session, such as search_path. */
  readonly session: Readonly<Record<string, string>>;
  /** For people: without its password. */
  readonly shown: string;
}

const DEFAULT_PORT = 5432;
/** Scheme, authority, path, query. */
const PARTS = /^postgres(?:ql)?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/;
const SESSION_ATTRIBUTES = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'];

/** Throws a StoreAddressError that never shows the address: its password could be anywhere in it. */
export function parsePostgresAddress(address: string): PostgresAddress {
  const parts = PARTS.exec(address);
  if (parts === null)
    throw wrongAddress(
      'must look like postgres://USER:PASSWORD@HOST:5432/DATABASE. Write special characters of the password as %XX.',
    );
  const [, authority = '', path = '', query = ''] = parts;
  const at = authority.lastIndexOf('@');
  const credentials = credentialsOf(at === -1 ? '' : authority.slice(0, at));
  const parameters = parametersOf(query);
  const hostText = parameters.get('host') ?? decoded(authority.slice(at + 1));
  const port = portOf(parameters.get('port'));
  const isSocket = hostText.startsWith('/');
  const places = isSocket
    ? []
    : (hostText === '' ? 'localhost' : hostText).split(',').map((each) => placeOf(each, port));
  const database = parameters.get('dbname') || decoded(path) || undefined;
  const hosts = places.map(({ host }) => host);
  const shownHost = isSocket ? hostText : places.map((place) => `${place.host}:${place.port}`).join(',');
  return {
    hosts,
    ports: places.map((place) => place.port),
    socket: isSocket ? `${hostText}/.s.PGSQL.${port}` : undefined,
    user: parameters.get('user') || credentials.user,
    password: parameters.get('password') || credentials.password,
    database,
    ssl: tlsOf(parameters, hosts),
    connectTimeoutSeconds: connectTimeoutOf(parameters),
    sessionAttributes: sessionAttributesOf(parameters.get('target_session_attrs')),
    isPooler: isPoolerOf(parameters),
    session: sessionOf(parameters),
    shown: `the PostgreSQL database ${database === undefined ? '' : `${JSON.stringify(database)} `}at ${shownHost}`,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrongAddress('has a % that two hexadecimal digits must follow; write % itself as %25.');
  }
}

function credentialsOf(text: string): Pick<PostgresAddress, 'user' | 'password'> {
  const colon = text.indexOf(':');
  const [user, password] = colon === -1 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
  return { user: decoded(user) || undefined, password: decoded(password) || undefined };
}

function placeOf(text: string, defaultPort: number): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*))(?::(.*))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || host === '')
    throw wrongAddress('has no host before the port; IPv6 addresses are written in [ ].');
  return { host, port: port === undefined ? defaultPort : portOf(port) };
}

function portOf(text: string | undefined): number {
  const port = text === undefined ? DEFAULT_PORT : Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw wrongAddress('has a port that is no number from 1 to 65535.');
  return port;
}

function sessionAttributesOf(text: string | undefined): string | undefined {
  if (text !== undefined && !SESSION_ATTRIBUTES.includes(text))
    throw wrongAddress(`has a target_session_attrs that is none of ${SESSION_ATTRIBUTES.join(', ')}.`);
  return text === 'any' ? undefined : text;
}
