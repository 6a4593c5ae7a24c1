/** Which release of Ollama a server is, by `/api/version`, and what depends on it. Pure. */

/** Undefined: the server did not say, or said 0.0.0, as it does when it was built from source without a version. */
export type ServerRelease = { readonly major: number; readonly minor: number } | undefined;

export function parseRelease(version: string | undefined): ServerRelease {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version ?? '') ?? [];
  if (major === undefined || minor === undefined) return undefined;
  if (/^v?0\.0\.0\b/.test(version ?? '')) return undefined;
  return { major: Number(major), minor: Number(minor) };
}

/**
 * Whether a request may say `shift`. Since 0.30 a runner is started with it or without: a request that says otherwise than
 * the one before, anybody's, has the model loaded anew. Where the release is unknown the field is left out, which never
 * causes a load: only the end of an answer that outgrows the context differs.
 */
export function takesShift(release: ServerRelease): boolean {
  return release !== undefined && release.major === 0 && release.minor < 30;
}
