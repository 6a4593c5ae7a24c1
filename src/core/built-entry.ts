/** Where the entry of a process or a thread of ours is. */

/**
 * Its address: it runs as plain JavaScript. `entry`: relative to the module, ending in `.js`. For a module in `src/` (tests) it is the file
 * that was built to `dist/`.
 */
export function builtEntry(entry: string, moduleUrl: string): URL {
  const url = new URL(entry, moduleUrl);
  if (!moduleUrl.endsWith('.ts')) return url;
  const at = url.pathname.lastIndexOf('/src/');
  url.pathname = `${url.pathname.slice(0, at)}/dist/${url.pathname.slice(at + '/src/'.length)}`;
  return url;
}
