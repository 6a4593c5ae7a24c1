/** Ids of requests and of what is made for them: unguessable, twelve random bytes in hexadecimal. */
import { randomBytes } from 'node:crypto';

const ID_CHARACTERS = 24;
const IDS_AT_ONCE = 256;
/** As a client may name its own request: it is shown in headers and logs. */
const SANE_ID = /^[\w.:-]{1,128}$/;

/** Asked for by the hundred: one request to the system for each id would cost more than everything else about it. */
let drawn = '';
let used = 0;

/** `prefix_` and 24 hexadecimal digits, never the same twice. */
export function newId(prefix: string): string {
  if (used === drawn.length) {
    drawn = randomBytes((IDS_AT_ONCE * ID_CHARACTERS) / 2).toString('hex');
    used = 0;
  }
  used += ID_CHARACTERS;
  return `${prefix}_${drawn.slice(used - ID_CHARACTERS, used)}`;
}

/** The client's own, if it is a sane one. */
export function requestIdFrom(header: string | string[] | undefined): string {
  return typeof header === 'string' && SANE_ID.test(header) ? header : newId('req');
}
