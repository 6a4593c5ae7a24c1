/**
 * A model's file in the cache folder, and what lies beside it. A file under its final name is always whole: it is
 * received beside, checked, and moved there in one step. A stamp remembers which size and time of change were
 * checked, so that the next start need not read it all, and the checksum that was seen, so that damage is noticed.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GgufError, readGgufHeader } from './gguf-header.ts';
import type { RemoteFile } from './remote-file.ts';

export type CacheState = 'present' | 'absent' | 'damaged';

export interface CachePaths {
  readonly model: string;
  readonly stamp: string;
  /** What has arrived of it so far, and of what it is a part. */
  readonly partial: string;
  readonly partialNote: string;
  /** There while somebody fetches it. */
  readonly lock: string;
  /** For what a source puts down meanwhile. */
  readonly scratch: string;
}

export interface Stamp {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly changedMs: number;
  /** Whether the checksum is one that the catalogue, the source or the user had published before. */
  readonly published: boolean;
  /** What it was fetched as. */
  readonly name: string;
}

export function cachePaths({ fileName }: { readonly fileName: string }, cacheDirectory: string): CachePaths {
  const model = join(cacheDirectory, fileName);
  return {
    model,
    stamp: `${model}.checked.json`,
    partial: `${model}.partial`,
    partialNote: `${model}.partial.json`,
    lock: `${model}.lock`,
    scratch: `${model}.scratch`,
  };
}

/** Reads the whole file only when its stamp does not vouch for it. */
export async function checkCached(
  file: RemoteFile,
  cacheDirectory: string,
  signal: AbortSignal,
): Promise<CacheState> {
  const paths = cachePaths(file, cacheDirectory);
  const found = await stat(paths.model).catch(() => undefined);
  if (found === undefined) return 'absent';
  if (!found.isFile() || found.size !== (file.sizeBytes ?? found.size)) return 'damaged';
  const stamp = await readStamp(paths.stamp);
  const expected = file.sha256 ?? stamp?.sha256;
  if (stamp !== undefined && stamp.sha256 === expected && vouchesFor(stamp, found)) return 'present';
  if (expected === undefined && !(await isWholeGguf(paths.model))) return 'damaged';
  const sha256 = await hashFile(paths.model, signal);
  if (sha256 !== (expected ?? sha256)) return 'damaged';
  const published = file.sha256 !== undefined || stamp?.published === true;
  await leaveStamp(paths.stamp, {
    sha256,
    sizeBytes: found.size,
    changedMs: found.mtimeMs,
    published,
    name: file.name,
  });
  return 'present';
}

/** Moves a received and checked partial to the model's final name. */
export async function keepReceived(
  paths: CachePaths,
  checked: Pick<Stamp, 'sha256' | 'published' | 'name'>,
): Promise<void> {
  const { size, mtimeMs } = await stat(paths.partial);
  await rename(paths.partial, paths.model);
  await leaveStamp(paths.stamp, { ...checked, sizeBytes: size, changedMs: mtimeMs });
}

/** Undefined where there is none that can be read. */
export async function readStamp(path: string): Promise<Stamp | undefined> {
  try {
    const stamp = JSON.parse(await readFile(path, 'utf8')) as Partial<Stamp>;
    const { sha256, sizeBytes, changedMs, published = false, name = '' } = stamp;
    if (typeof sha256 !== 'string' || sizeBytes === undefined || changedMs === undefined) return undefined;
    return { sha256, sizeBytes, changedMs, published: published === true, name };
  } catch {
    return undefined;
  }
}

export function vouchesFor(
  stamp: Stamp,
  found: { readonly size: number; readonly mtimeMs: number },
): boolean {
  return stamp.sizeBytes === found.size && stamp.changedMs === found.mtimeMs;
}

async function hashFile(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { signal, highWaterMark: 1 << 20 }))
    hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function isWholeGguf(path: string): Promise<boolean> {
  try {
    await readGgufHeader(path);
    return true;
  } catch (error) {
    if (error instanceof GgufError) return false;
    throw error;
  }
}

/** Without a stamp (a cache that cannot be written to) the file is merely read again next time. */
async function leaveStamp(path: string, stamp: Stamp): Promise<void> {
  await writeFile(path, `${JSON.stringify(stamp)}\n`).catch(() => {});
}
