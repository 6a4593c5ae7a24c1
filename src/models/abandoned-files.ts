/** Clears the folder for models of what was never finished: by processes that were killed, or given up for days. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

const DAY_MS = 24 * 3_600_000;
/** By the ending of a name, which only files of models have: for how long nothing may have changed. A download can be continued for a week. */
const ABANDONED_AFTER_MS: readonly (readonly [ending: string, ms: number])[] = [
  ['.gguf.partial', 7 * DAY_MS],
  ['.gguf.partial.json', 7 * DAY_MS],
  ['.gguf.scratch', 10 * 60_000],
  ['.gguf.lock', DAY_MS],
];

/** Whatever cannot be cleared stays. */
export async function clearAbandoned(cacheDirectory: string): Promise<void> {
  for (const name of await readdir(cacheDirectory).catch(() => [])) {
    const found = ABANDONED_AFTER_MS.find(([ending]) => name.toLowerCase().endsWith(ending));
    if (found === undefined) continue;
    const path = join(cacheDirectory, name);
    const unchangedMs = Date.now() - (await lastChangeMs(path));
    if (unchangedMs > found[1]) await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}

/** The latest change of the file, or of anything in the folder; now, if it vanishes meanwhile. */
async function lastChangeMs(path: string): Promise<number> {
  try {
    const found = await stat(path);
    if (!found.isDirectory()) return found.mtimeMs;
    const inside = await Promise.all((await readdir(path)).map((name) => lastChangeMs(join(path, name))));
    return Math.max(found.mtimeMs, ...inside);
  } catch {
    return Date.now();
  }
}
