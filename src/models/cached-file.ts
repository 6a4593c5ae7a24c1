/**
 * A catalogue model's file in the cache folder. A file under its final name is always whole: it is written beside,
 * checked, and moved there in one step, so that several processes may fetch at once. A stamp beside it remembers
 * which size and time of change were checked, so that the next start need not read it all.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelEntry } from './catalog.ts';

export type CacheState = 'present' | 'absent' | 'damaged';

export interface CachePaths {
  readonly model: string;
  readonly stamp: string;
}

interface Stamp {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly changedMs: number;
}

export function cachePaths(entry: ModelEntry, cacheDirectory: string): CachePaths {
  const model = join(cacheDirectory, entry.fileName);
  return { model, stamp: `${model}.checked.json` };
}

/** Reads the whole file only when its stamp does not vouch for it. */
export async function checkCached(
  entry: ModelEntry,
  cacheDirectory: string,
  signal: AbortSignal,
): Promise<CacheState> {
  const paths = cachePaths(entry, cacheDirectory);
  const found = await stat(paths.model).catch(() => undefined);
  if (found === undefined) return 'absent';
  if (!found.isFile() || found.size !== entry.sizeBytes) return 'damaged';
  const stamp: Stamp = { sha256: entry.sha256, sizeBytes: found.size, changedMs: found.mtimeMs };
  if (await hasStamp(paths.stamp, stamp)) return 'present';
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(paths.model, { signal })) hash.update(chunk as Buffer);
  if (hash.digest('hex') !== entry.sha256) return 'damaged';
  await leaveStamp(paths.stamp, stamp);
  return 'present';
}

export interface StoreOptions {
  readonly cacheDirectory: string;
  readonly onBytes: (doneBytes: number) => void;
}

/** Writes `bytes` under the entry's final name if they are exactly its file; else throws and leaves nothing. */
export async function storeModel(
  entry: ModelEntry,
  bytes: AsyncIterable<Uint8Array>,
  { cacheDirectory, onBytes }: StoreOptions,
): Promise<void> {
  const paths = cachePaths(entry, cacheDirectory);
  await mkdir(cacheDirectory, { recursive: true });
  const partial = partialPath(entry, cacheDirectory);
  try {
    const file = await open(partial, 'wx');
    try {
      await writeVerified(file, bytes, { entry, onBytes });
      await file.sync();
    } finally {
      await file.close();
    }
    const { mtimeMs } = await stat(partial);
    await rename(partial, paths.model);
    await leaveStamp(paths.stamp, { sha256: entry.sha256, sizeBytes: entry.sizeBytes, changedMs: mtimeMs });
  } finally {
    await rm(partial, { force: true });
  }
}

/** A name of its own for each try: another process may be fetching the same model. */
export function partialPath(entry: ModelEntry, cacheDirectory: string): string {
  return join(cacheDirectory, `${entry.fileName}.${randomUUID()}.partial`);
}

async function writeVerified(
  file: FileHandle,
  bytes: AsyncIterable<Uint8Array>,
  { entry, onBytes }: { entry: ModelEntry; onBytes: (doneBytes: number) => void },
): Promise<void> {
  const hash = createHash('sha256');
  let doneBytes = 0;
  for await (const chunk of bytes) {
    doneBytes += chunk.byteLength;
    if (doneBytes > entry.sizeBytes)
      throw new Error(`it sent more than the expected ${entry.sizeBytes} bytes`);
    hash.update(chunk);
    await file.writeFile(chunk);
    onBytes(doneBytes);
  }
  if (doneBytes < entry.sizeBytes) {
    throw new Error(`it ended after ${doneBytes} of ${entry.sizeBytes} bytes`);
  }
  if (hash.digest('hex') !== entry.sha256) throw new Error('what it sent has another checksum');
}

async function hasStamp(path: string, expected: Stamp): Promise<boolean> {
  try {
    const stamp = JSON.parse(await readFile(path, 'utf8')) as Partial<Stamp>;
    return (
      stamp.sha256 === expected.sha256 &&
      stamp.sizeBytes === expected.sizeBytes &&
      stamp.changedMs === expected.changedMs
    );
  } catch {
    return false;
  }
}

/** Without a stamp (a cache that cannot be written to) the file is merely read again next time. */
async function leaveStamp(path: string, stamp: Stamp): Promise<void> {
  await writeFile(path, `${JSON.stringify(stamp)}\n`).catch(() => {});
}
