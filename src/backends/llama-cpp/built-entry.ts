/** Where the entries of processes and threads of their own lie. They run as plain JavaScript. */
import { fileURLToPath } from 'node:url';

/** `entry`: relative to the module, ending in `.js`. From `src/` (tests) the one that was built to `dist/` is used. */
export function builtEntry(entry: string, moduleUrl: string): string {
  const path = fileURLToPath(new URL(entry, moduleUrl));
  if (!moduleUrl.endsWith('.ts')) return path;
  const at = path.lastIndexOf('/src/');
  return `${path.slice(0, at)}/dist/${path.slice(at + '/src/'.length)}`;
}
