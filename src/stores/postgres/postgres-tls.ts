/** TLS of a connection to PostgreSQL, by libpq's parameters. What can't be done as it was asked for is refused, never done with less. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import { wrongAddress } from './wrong-address.ts';

export type PostgresTls = false | 'require' | 'prefer' | ConnectionOptions;

type Parameters = ReadonlyMap<string, string>;

export const TLS_PARAMETERS = [
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'sslpassword',
  'sslcrl',
  'ssl_min_protocol_version',
  'ssl_max_protocol_version',
  'channel_binding',
] as const;

const MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
const BINDINGS = ['disable', 'prefer', 'require'] as const;
const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;
/** In place of a file: the roots that everybody trusts. */
const SYSTEM = 'system';

/**
 * As libpq: `prefer` where nothing is said; `require` checks no certificate, unless a root certificate is named. The roots that everybody
 * trusts say nothing about who it is without the host's name, so they come with `verify-full` alone. `hosts`: none for a socket, on which
 * nothing is encrypted, whatever the mode.
 */
export function tlsOf(parameters: Parameters, hosts: readonly string[]): PostgresTls {
  const mode = modeOf(parameters, hosts.length === 0);
  if (mode === 'disable') return false;
  const ca = parameters.get('sslrootcert') === SYSTEM ? undefined : fileOf(parameters, 'sslrootcert');
  const given = {
    ca,
    cert: fileOf(parameters, 'sslcert'),
    key: fileOf(parameters, 'sslkey'),
    passphrase: parameters.get('sslpassword'),
    crl: fileOf(parameters, 'sslcrl'),
    minVersion: chosenOf(parameters, 'ssl_min_protocol_version', VERSIONS),
    maxVersion: chosenOf(parameters, 'ssl_max_protocol_version', VERSIONS),
  };
  const options: ConnectionOptions = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  );
  const verifies = mode.startsWith('verify-') || ca !== undefined;
  if (!verifies && Object.keys(options).length === 0) return mode === 'require' ? 'require' : 'prefer';
  return {
    ...options,
    rejectUnauthorized: verifies,
    checkServerIdentity: mode === 'verify-full' ? identityCheck(hosts) : () => undefined,
  };
}

/** The driver names no host that is an IP address: Node would take a certificate for `localhost` then, and none for the address. */
function identityCheck(hosts: readonly string[]): typeof checkServerIdentity {
  // The check is asked about an address by that name too.
  if (hosts.includes('localhost') && hosts.some((host) => isIP(host) !== 0))
    throw wrongAddress(
      'has localhost beside an IP address, and sslmode=verify-full could not tell whose certificate it is shown. Write 127.0.0.1 or ::1 in place of localhost, or names alone.',
    );
  return (name, certificate) => {
    if (hosts.includes(name)) return checkServerIdentity(name, certificate);
    const errors = hosts
      .filter((host) => isIP(host) !== 0)
      .map((host) => checkServerIdentity(host, certificate));
    // Of several addresses, which one was called is not known; they are those of one database.
    return errors.includes(undefined) ? undefined : (errors[0] ?? checkServerIdentity(name, certificate));
  };
}

function modeOf(parameters: Parameters, isSocket: boolean): (typeof MODES)[number] {
  const mode = chosenOf(parameters, 'sslmode', MODES);
  const root = parameters.get('sslrootcert');
  // The driver can't bind a login to its connection. Both keep others from standing in between, so the one stands in for the other.
  if (chosenOf(parameters, 'channel_binding', BINDINGS) === 'require') {
    if (mode === 'disable' || isSocket)
      throw wrongAddress('has channel_binding=require, which needs TLS, but sslmode or a socket has none.');
    return root === undefined || root === SYSTEM || mode === undefined ? 'verify-full' : mode;
  }
  if (isSocket) return 'disable';
  if (root === SYSTEM) {
    if (mode !== undefined && mode !== 'verify-full')
      throw wrongAddress(`has sslrootcert=system, with which sslmode can only be verify-full.`);
    return 'verify-full';
  }
  if (mode === 'verify-ca' && root === undefined)
    throw wrongAddress(
      'has sslmode=verify-ca without an sslrootcert: anybody’s certificate would do. Name the file, or use verify-full.',
    );
  return mode ?? 'prefer';
}

/** Undefined: nothing is said. */
function chosenOf<Choice extends string>(
  parameters: Parameters,
  name: string,
  choices: readonly Choice[],
): Choice | undefined {
  const text = parameters.get(name);
  if (text === undefined || text === '') return undefined;
  const chosen = choices.find((choice) => choice === text);
  if (chosen === undefined) throw wrongAddress(`has a ${name} that is none of ${choices.join(', ')}.`);
  return chosen;
}

function fileOf(parameters: Parameters, name: string): string | undefined {
  const path = parameters.get(name);
  if (path === undefined || path === '') return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw wrongAddress(`has an ${name} that can’t be read: ${(error as Error).message}.`);
  }
}
