/** What went wrong in PostgreSQL, or on the way to it, as the store's errors. */
import { StoreError, type StoreFault } from '../store.ts';

interface Fault {
  readonly fault: StoreFault;
  readonly words: string;
}

const LETS_US_NOT_IN = 'does not let us in. Check user and password';
const READ_ONLY =
  'can’t be written: it is a standby, or read-only. Name the primary; of several hosts, target_session_attrs=read-write finds it';
const STARTS_OR_STOPS = 'is starting or shutting down';
const NO_TRUSTED_CERTIFICATE =
  'has a certificate that no trusted root vouches for. Name its root certificate with sslrootcert';
const NO_TLS = 'does not speak TLS: turn it on there (ssl = on); sslmode=disable asks for none';
const POOLED = 'is behind PgBouncer or a pooler like it: add pgbouncer=true to its address';
const OUT_OF_SPACE = 'can’t be written: no space is left on its disk';

/** SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const FAULTS: Readonly<Record<string, Fault>> = {
  '25006': { fault: 'refused', words: READ_ONLY },
  // A statement that was prepared is not there, or is there already: the session is another.
  '26000': { fault: 'refused', words: POOLED },
  '28P01': { fault: 'refused', words: LETS_US_NOT_IN },
  '3D000': { fault: 'refused', words: 'does not exist. Create it: createdb' },
  '3F000': { fault: 'refused', words: 'has no schema that tables can be created in' },
  '42P05': { fault: 'refused', words: POOLED },
  '42501': { fault: 'refused', words: 'does not let this user do that' },
  '53100': { fault: 'full', words: OUT_OF_SPACE },
  '53300': { fault: 'unavailable', words: 'has too many connections' },
  '55P03': { fault: 'unavailable', words: 'is locked by others' },
  '57014': { fault: 'unavailable', words: 'answered too late' },
  '57P01': { fault: 'unavailable', words: STARTS_OR_STOPS },
  '57P02': { fault: 'unavailable', words: STARTS_OR_STOPS },
  '57P03': { fault: 'unavailable', words: STARTS_OR_STOPS },
  XX001: { fault: 'corrupt', words: 'is damaged' },
  XX002: { fault: 'corrupt', words: 'is damaged' },
};

const NOT_LET_IN = '28000';
/** PgBouncer's code for most of what it refuses; then its words, those for a setting that it would not pass on among them. */
const PROTOCOL_VIOLATION = '08P01';
const POOLER_WORDS: readonly (readonly [RegExp, string])[] = [
  [/unsupported (?:options )?startup parameter/, POOLED],
  [/authentication failed/, LETS_US_NOT_IN],
];
/** Node's words for a connection that ended in the handshake: PostgreSQL that has no TLS takes it for a message it does not know. */
const ENDED_BEFORE_TLS = /before secure TLS connection/;

/** Of the driver and of Node. */
const CONNECTION_FAULTS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'has a certificate that has expired',
  CERT_NOT_YET_VALID: 'has a certificate that is not valid yet',
  CERT_REVOKED: 'has a certificate that was revoked',
  CONNECT_TIMEOUT: 'can’t be reached: it did not answer in time',
  CONNECTION_CLOSED: 'has closed the connection',
  CONNECTION_DESTROYED: 'answered too late',
  CONNECTION_ENDED: 'is closed',
  DEPTH_ZERO_SELF_SIGNED_CERT: NO_TRUSTED_CERTIFICATE,
  CRL_HAS_EXPIRED: 'can’t be verified: the list of revoked certificates (sslcrl) has expired',
  ECONNREFUSED: 'can’t be reached: nothing listens there',
  ECONNRESET: 'has closed the connection',
  ENOENT: 'can’t be reached: there is no such socket',
  ENOTFOUND: 'can’t be reached: its host is unknown',
  EPIPE: 'has closed the connection',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'does not trust the client’s certificate (sslcert)',
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  SELF_SIGNED_CERT_IN_CHAIN: NO_TRUSTED_CERTIFICATE,
  UNABLE_TO_GET_CRL: 'can’t be verified: the list of revoked certificates (sslcrl) is of another root',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: NO_TRUSTED_CERTIFICATE,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: NO_TRUSTED_CERTIFICATE,
};

/** `shown`: the database, without its password. */
export function postgresFault(error: unknown, shown: string): unknown {
  if (!(error instanceof Error) || error instanceof StoreError) return error;
  const code = codeOf(error);
  const known = FAULTS[code];
  if (known !== undefined) return new StoreError(known.fault, sentence(shown, known.words), { cause: error });
  const ofPooler =
    code === PROTOCOL_VIOLATION ? POOLER_WORDS.find(([words]) => words.test(error.message)) : undefined;
  if (ofPooler !== undefined)
    return new StoreError('refused', sentence(shown, ofPooler[1]), { cause: error });
  // Its own words name the reason: a rule of pg_hba.conf, a missing certificate, no encryption.
  if (code === NOT_LET_IN)
    return new StoreError('refused', sentence(shown, `does not let us in: ${error.message}`), {
      cause: error,
    });
  return new StoreError('unavailable', sentence(shown, connectionWords(error, code)), { cause: error });
}

function connectionWords(error: Error, code: string): string {
  const { reason, cert } = error as {
    readonly reason?: unknown;
    readonly cert?: { readonly subjectaltname?: string };
  };
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `has a certificate for another name than its host: it is for ${cert?.subjectaltname || 'none'}`;
  if (code === 'ECONNRESET' && ENDED_BEFORE_TLS.test(error.message)) return NO_TLS;
  const known = CONNECTION_FAULTS[code];
  if (known !== undefined) return known;
  return code.startsWith('ERR_SSL_') && typeof reason === 'string'
    ? `does not agree on TLS: ${reason}`
    : `reports: ${error.message}`;
}

export function tooLate(shown: string): StoreError {
  return new StoreError('unavailable', sentence(shown, 'answered too late'));
}

function sentence(shown: string, words: string): string {
  return `${shown.charAt(0).toUpperCase()}${shown.slice(1)} ${words}.`;
}

/** Of several addresses of a host, each may have failed in its own way: the first counts. */
function codeOf(error: Error): string {
  const first = error instanceof AggregateError ? (error.errors[0] as Error | undefined) : error;
  const { code } = (first ?? error) as { readonly code?: unknown };
  return typeof code === 'string' ? code : '';
}
