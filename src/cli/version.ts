/** Apart from `serve`: the commands that use a running server load nothing of one. */
import { readFileSync } from 'node:fs';

/** The version of this build, from the package.json beside dist/. */
export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
