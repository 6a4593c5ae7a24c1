/** Whether a path leads, through all links, into one of the folders that model files may be in. */
import { realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';

/** Where the path really leads if that is outside of all folders; undefined where it is inside. */
export function outsideOf(folders: readonly string[], path: string): string | undefined {
  const real = realPath(path);
  return folders.some((folder) => isInside(realPath(folder), real)) ? undefined : real;
}

function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** Links resolved as far as the path exists. */
function realPath(path: string): string {
  const absolute = resolve(path);
  try {
    return realpathSync(absolute);
  } catch {
    const parent = dirname(absolute);
    return parent === absolute ? absolute : join(realPath(parent), basename(absolute));
  }
}
