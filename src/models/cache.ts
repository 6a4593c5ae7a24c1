/**
 * A model's file in the cache folder, and what lies beside it. A file under its final name is always whole: it is
 * received beside, checked, and moved there in one step. A stamp remembers which size and time of change were
 * checked, so that the next start need not read it all, and the checksum that was seen, so that damage is noticed.
 */

import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  constants,
  type FileHandle,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { Download, ResumePoint } from './download.ts';
import { GgufError, readGgufHeader } from './gguf.ts';
import type { RemoteFile } from './names.ts';

type CacheState = 'present' | 'absent' | 'damaged';

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
  if (stamp !== undefined && stamp.sha256 === expected && stampMatches(stamp, found)) return 'present';
  if (expected === undefined && !(await isWholeGguf(paths.model))) return 'damaged';
  const sha256 = await hashFile(paths.model, signal);
  if (sha256 !== (expected ?? sha256)) return 'damaged';
  const published = file.sha256 !== undefined || stamp?.published === true;
  await writeStamp(paths.stamp, {
    sha256,
    sizeBytes: found.size,
    changedMs: found.mtimeMs,
    published,
    name: file.name,
  });
  return 'present';
}

/** Moves a received and checked partial to the model's final name. */
export async function commitDownload(
  paths: CachePaths,
  checked: Pick<Stamp, 'sha256' | 'published' | 'name'>,
): Promise<void> {
  const { size, mtimeMs } = await stat(paths.partial);
  await rename(paths.partial, paths.model);
  await writeStamp(paths.stamp, { ...checked, sizeBytes: size, changedMs: mtimeMs });
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

export function stampMatches(
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
async function writeStamp(path: string, stamp: Stamp): Promise<void> {
  await writeFile(path, `${JSON.stringify(stamp)}\n`).catch(() => {});
}

/**
 * What has arrived of a file so far. It stays when a download is cut off, with a note of what it is a part of, so
 * that the next try can go on; its checksum is always taken over all of it, also over what was there before.
 */

interface PartialNote {
  readonly source: string;
  readonly validator?: string | undefined;
  /** Of the whole file. */
  readonly sha256?: string | undefined;
  /** Of the whole file. */
  readonly sizeBytes?: number | undefined;
}

/** What is there already, and can be gone on with. */
export interface ResumeState extends ResumePoint {
  /** Over its bytes: taken before a source is asked, which would not wait for that. */
  readonly hash: Hash;
}

export interface ReceivedFile {
  readonly sha256: string;
  /** Whether that is what was published. */
  readonly published: boolean;
}

/** A link that somebody put in its place is not followed. */
const NO_FOLLOW = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);

/** What arrived is not, and will not become, the file: there is no point in going on with it. */
export class WrongContentError extends Error {}

export async function readPartialNote(paths: CachePaths): Promise<PartialNote | undefined> {
  try {
    return JSON.parse(await readFile(paths.partialNote, 'utf8')) as PartialNote;
  } catch {
    return undefined;
  }
}

/** Where a download from this source can go on; undefined where it has to begin anew. Reads all that is there. */
export async function findResumeState(
  paths: CachePaths,
  by: { readonly file: RemoteFile; readonly source: string; readonly signal: AbortSignal },
): Promise<ResumeState | undefined> {
  const { file, source, signal } = by;
  const note = await readPartialNote(paths);
  const doneBytes = (await stat(paths.partial).catch(() => undefined))?.size ?? 0;
  if (note === undefined || doneBytes === 0) return undefined;
  if (file.sha256 !== undefined && note.sha256 !== file.sha256) return undefined;
  // Two sources of one checksum have the same bytes, but not the same ETag.
  const validator = note.source === source ? note.validator : undefined;
  if (validator === undefined && note.sha256 === undefined) return undefined;
  if (note.source !== source && file.sha256 === undefined) return undefined;
  // With all of it there, the last byte is fetched again rather than nothing.
  const fromByte = Math.min(doneBytes, (note.sizeBytes ?? Number.POSITIVE_INFINITY) - 1);
  if (fromByte < 1) return undefined;
  const hash = createHash('sha256');
  const bytes = createReadStream(paths.partial, { end: fromByte - 1, highWaterMark: 1 << 20, signal });
  for await (const chunk of bytes) hash.update(chunk as Buffer);
  return { fromByte, validator, sha256: note.sha256, hash };
}

/** Receives a delivery to its end and checks that it is the file. Throws WrongContentError where it is not. */
export async function receivePartial(
  paths: CachePaths,
  delivery: Download,
  by: {
    readonly file: RemoteFile;
    readonly source: string;
    readonly beginning: ResumeState | undefined;
    readonly onBytes: (done: number, total: number) => void;
  },
): Promise<ReceivedFile> {
  const { file, source, beginning, onBytes } = by;
  const expected = {
    sizeBytes: file.sizeBytes ?? delivery.sizeBytes,
    sha256: file.sha256 ?? delivery.sha256,
  };
  rejectMismatch(file, delivery);
  const { validator, startByte } = delivery;
  const partial = await open(paths.partial, NO_FOLLOW);
  let sha256: string;
  try {
    // 1. What is there already counts too.
    const hash = startByte > 0 && beginning ? beginning.hash.copy() : createHash('sha256');
    await partial.truncate(startByte);
    const note: PartialNote = { source, validator, ...expected };
    await writeFile(paths.partialNote, JSON.stringify(note), { flag: NO_FOLLOW | constants.O_TRUNC });
    // 2. The rest.
    const total = expected.sizeBytes ?? 0;
    const sizeBytes = await writeBytes(delivery, {
      partial,
      hash,
      expectedBytes: expected.sizeBytes,
      onBytes: (done) => onBytes(done, total),
    });
    await partial.sync();
    sha256 = hash.digest('hex');
    // 3. The checks.
    if (sizeBytes !== (expected.sizeBytes ?? sizeBytes))
      throw new WrongContentError(`it ended after ${sizeBytes} of ${expected.sizeBytes} bytes`);
  } finally {
    await partial.close();
  }
  if (expected.sha256 === undefined) await rejectBrokenGguf(paths.partial);
  else if (sha256 !== expected.sha256) throw new WrongContentError('what it sent has another checksum');
  return { sha256, published: expected.sha256 !== undefined };
}

export async function removePartial(paths: CachePaths): Promise<boolean> {
  const there = (await stat(paths.partial).catch(() => undefined)) !== undefined;
  await rm(paths.partial, { force: true, recursive: true });
  await rm(paths.partialNote, { force: true });
  return there;
}

/** Known before a byte is taken. */
function rejectMismatch(file: RemoteFile, offered: Download): void {
  if (file.sizeBytes !== undefined && (offered.sizeBytes ?? file.sizeBytes) !== file.sizeBytes)
    throw new Error(`it offers ${offered.sizeBytes} bytes where ${file.sizeBytes} were expected`);
  if (file.sha256 !== undefined && (offered.sha256 ?? file.sha256) !== file.sha256)
    throw new Error('it offers a file with another checksum');
}

/** The size of the file at its end. Written at fixed places: a second writer of the same file would do no harm. */
async function writeBytes(
  delivery: Download,
  to: {
    readonly partial: FileHandle;
    readonly hash: Hash;
    readonly expectedBytes: number | undefined;
    readonly onBytes: (doneBytes: number) => void;
  },
): Promise<number> {
  let doneBytes = delivery.startByte;
  to.onBytes(doneBytes);
  for await (const chunk of delivery.bytes) {
    const endByte = doneBytes + chunk.byteLength;
    if (endByte > (to.expectedBytes ?? endByte))
      throw new WrongContentError(`it sent more than the expected ${to.expectedBytes} bytes`);
    to.hash.update(chunk);
    for (let from = 0; from < chunk.byteLength; ) {
      const { bytesWritten } = await to.partial.write(chunk, from, chunk.byteLength - from, doneBytes + from);
      from += bytesWritten;
    }
    doneBytes = endByte;
    to.onBytes(doneBytes);
  }
  return doneBytes;
}

async function rejectBrokenGguf(path: string): Promise<void> {
  try {
    await readGgufHeader(path);
  } catch (error) {
    if (error instanceof GgufError) throw new WrongContentError(`what it sent ${error.message}`);
    throw error;
  }
}

/** Clears the folder for models of what was never finished: by processes that were killed, or given up for days. */

const DAY_MS = 24 * 3_600_000;
/** By the ending of a name, which only files of models have: for how long nothing may have changed. A download can be continued for a week. */
const ABANDONED_AFTER_MS: readonly (readonly [ending: string, ms: number])[] = [
  ['.gguf.partial', 7 * DAY_MS],
  ['.gguf.partial.json', 7 * DAY_MS],
  ['.gguf.scratch', 10 * 60_000],
  ['.gguf.lock', DAY_MS],
];

/** Whatever cannot be cleared stays. */
export async function removeAbandoned(cacheDirectory: string): Promise<void> {
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
