/** Notices that a server has gone away in the middle of a run: all that a client would measure from then on is how fast connections are refused. */
import type { RequestRecord } from './record.ts';

/** Codes of connections that could not be made. */
export const UNREACHABLE: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'],
  ...['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ...['ERR_TLS_CERT_ALTNAME_INVALID', 'CERT_HAS_EXPIRED', 'EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER'],
]);

/** Requests in a row without a connection after which the server counts as lost. A single one may be a full backlog. */
const LOST_AFTER = 20;

export class LostServerWatch {
  #inARow = 0;

  get isLost(): boolean {
    return this.#inARow >= LOST_AFTER;
  }

  note({ error }: Pick<RequestRecord, 'error'>): void {
    this.#inARow = error !== undefined && UNREACHABLE.has(error) ? this.#inARow + 1 : 0;
  }
}
