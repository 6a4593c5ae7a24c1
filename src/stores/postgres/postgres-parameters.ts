/**
 * The parameters of a PostgreSQL address, by name: those of libpq, and a few settings of the session. A name that is none of them is
 * refused: a database would be connected otherwise than its address says.
 */
import { TLS_PARAMETERS } from './postgres-tls.ts';
import { wrongAddress } from './wrong-address.ts';

const OF_THE_CONNECTION: readonly string[] = [
  'host',
  'port',
  'user',
  'password',
  'dbname',
  'target_session_attrs',
  'connect_timeout',
  'client_encoding',
  'pgbouncer',
  ...TLS_PARAMETERS,
];

/** Handed to the server with the first message. Others: options=-c%20NAME=VALUE. */
const OF_THE_SESSION: readonly string[] = [
  'application_name',
  'default_transaction_read_only',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'lock_timeout',
  'options',
  'role',
  'search_path',
  'statement_timeout',
  'synchronous_commit',
  'timezone',
  'work_mem',
];

/** What a transaction can't be given, where a session is not ours alone. */
const NOT_OF_A_TRANSACTION: readonly string[] = ['idle_session_timeout', 'options'];

/** Of libpq, and of no use here: how it sends, or what it does where it has a choice. None of them makes a connection safer. */
const IGNORED: readonly string[] = [
  'fallback_application_name',
  'gssdelegation',
  'gsslib',
  'keepalives',
  'keepalives_count',
  'keepalives_idle',
  'keepalives_interval',
  'krbsrvname',
  'load_balance_hosts',
  'max_protocol_version',
  'min_protocol_version',
  'sslcompression',
  'sslnegotiation',
  'sslsni',
  'tcp_user_timeout',
];

/** Those of libpq that ask for what this client can't do, with the values that ask for nothing. */
const ONLY_WITHOUT: ReadonlyMap<string, readonly string[]> = new Map([
  ['gssencmode', ['disable', 'prefer']],
  ['sslcertmode', ['allow', 'disable']],
  ['client_encoding', ['utf8', 'utf-8', 'auto']],
]);

/** Throws a StoreAddressError. Shows no value: only names, and they are short. */
export function parametersOf(query: string): ReadonlyMap<string, string> {
  const parameters = new Map(new URLSearchParams(query));
  for (const [name, value] of parameters) {
    const allowed = ONLY_WITHOUT.get(name);
    if (allowed !== undefined) {
      if (value !== '' && !allowed.includes(value.toLowerCase()))
        throw wrongAddress(`has a ${name} that llm-serve can’t do: it can do ${allowed.join(', ')}.`);
    } else if (![OF_THE_CONNECTION, OF_THE_SESSION, IGNORED].some((names) => names.includes(name)))
      throw wrongAddress(
        `has a parameter that llm-serve does not know: ${shownName(name, query)}. Settings of the session are written options=-c%20NAME=VALUE.`,
      );
  }
  return parameters;
}

/** Parts of a password with & or ? in it may stand where a name should; then the @ behind it comes later. */
function shownName(name: string, query: string): string {
  return /^[a-z][a-z_]{0,39}$/i.test(name) && !query.includes('@') ? name : 'its name is no name';
}

export function sessionOf(parameters: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  return Object.fromEntries([...parameters].filter(([name]) => OF_THE_SESSION.includes(name)));
}

/** Whether the address is that of PgBouncer, or of a pooler like it: by the parameter that other clients have for it. */
export function isPoolerOf(parameters: ReadonlyMap<string, string>): boolean {
  const text = parameters.get('pgbouncer');
  if (text === undefined || text === '' || text === 'false') return false;
  if (text !== 'true') throw wrongAddress('has a pgbouncer that is neither true nor false.');
  const unkept = NOT_OF_A_TRANSACTION.find((name) => parameters.has(name));
  if (unkept !== undefined)
    throw wrongAddress(
      `has ${unkept}, which can’t be kept with pgbouncer=true: a transaction has settings by name alone.`,
    );
  return true;
}

/** Seconds; undefined: not said, or no limit. */
export function connectTimeoutOf(parameters: ReadonlyMap<string, string>): number | undefined {
  const text = parameters.get('connect_timeout');
  if (text === undefined || text === '') return undefined;
  if (!/^-?\d{1,9}$/.test(text))
    throw wrongAddress('has a connect_timeout that is no whole number of seconds.');
  return Number(text) > 0 ? Number(text) : undefined;
}
