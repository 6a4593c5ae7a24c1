/** An address as people may see it, in errors, logs and commands: without the user, password and query, which may be secret. Pure. */

/** In place of a secret. */
export const SECRET = '(secret)';

const BEGINS_WITH_SCHEME = /^\s*[a-z][a-z0-9+.-]*:\/\//i;

/**
 * Other text is as it was. A password may have any character, an @ as well, so all up to the last one is left out. In linear time: the
 * text may be a client's.
 */
export function shownAddress(text: string): string {
  const scheme = BEGINS_WITH_SCHEME.exec(text)?.[0];
  if (scheme === undefined) return text;
  const at = text.lastIndexOf('@');
  const rest = at < scheme.length ? text.slice(scheme.length) : `${SECRET}${text.slice(at)}`;
  const query = rest.indexOf('?');
  return scheme + (query === -1 ? rest : `${rest.slice(0, query)}?${SECRET}`);
}
