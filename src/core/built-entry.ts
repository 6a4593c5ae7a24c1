/** Where the entry of a process or a thread of ours is. */
import { fileURLToPath } from 'node:url';

/**
 * Its path: it runs as plain JavaScript. `entry`: relative to the module, ending in `.js`. For a module in `src/` (tests) it is the file
 * that was built to `dist/`.
 */
export function builtEntry(entry: string, moduleUrl: string): string {
  const path = fileURLToPath(new URL(entry, moduleUrl));
  if (!moduleUrl.endsWith('.ts')) return path;
  const at = path.lastIndexOf('/src/');
  return `${path.slice(0, at)}/dist/${path.slice(at + '/src/'.length)}`;
}
