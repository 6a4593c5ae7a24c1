/**
 * A model's file in the cache folder, and the files beside it. A file under its final name is always complete: it is
 * received as `.partial`, checked, and renamed. A stamp remembers the size and time of change that were checked, so that
 * the next start need not read the whole file, and the checksum, so that damage is noticed. A partial file stays when a
 * download is interrupted, with a note of what it is part of, so that the next attempt can resume it.
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
  /** The bytes that have arrived so far, and what they are part of. */
  readonly partial: string;
  readonly partialNote: string;
  /** Exists while a process downloads the file. */
  readonly lock: string;
  /** A folder for the temporary files of a source. */
  readonly scratch: string;
}

export interface Stamp {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly changedMs: number;
  /** The checksum was published: by the catalogue, the source or the user. */
  readonly published: boolean;
  /** The name that the model was downloaded by. */
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

/** Reads the whole file only where its stamp does not match. */
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
  if (expected === undefined && (await ggufFault(paths.model)) !== undefined) return 'damaged';
  const sha256 = (await hashFile(paths.model, { signal })).digest('hex');
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

/** Renames a received and checked partial file to the model's final name. */
export async function commitDownload(
  paths: CachePaths,
  checked: Pick<Stamp, 'sha256' | 'published' | 'name'>,
): Promise<void> {
  const { size, mtimeMs } = await stat(paths.partial);
  await rename(paths.partial, paths.model);
  await writeStamp(paths.stamp, { ...checked, sizeBytes: size, changedMs: mtimeMs });
}

/** Undefined where there is none, or it cannot be read. */
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

/** SHA-256 of the file, up to and including the byte `end`. */
async function hashFile(
  path: string,
  { end, signal }: { readonly end?: number; readonly signal: AbortSignal },
): Promise<Hash> {
  const hash = createHash('sha256');
  const bytes = createReadStream(path, { signal, highWaterMark: 1 << 20, ...(end !== undefined && { end }) });
  for await (const chunk of bytes) hash.update(chunk as Buffer);
  return hash;
}

/** What is wrong with a GGUF file, as the rest of a sentence; undefined for a complete one. */
async function ggufFault(path: string): Promise<string | undefined> {
  try {
    await readGgufHeader(path);
    return undefined;
  } catch (error) {
    if (error instanceof GgufError) return error.message;
    throw error;
  }
}

/** Without a stamp, in a cache that cannot be written to, the file is only read again next time. */
async function writeStamp(path: string, stamp: Stamp): Promise<void> {
  await writeFile(path, `${JSON.stringify(stamp)}\n`).catch(() => {});
}

interface PartialNote {
  readonly source: string;
  readonly validator?: string | undefined;
  /** Of the whole file. */
  readonly sha256?: string | undefined;
  /** Of the whole file. */
  readonly sizeBytes?: number | undefined;
}

/** The part that can be resumed. */
export interface ResumeState extends ResumePoint {
  /** Of its bytes. Computed before a source is asked, which would not wait for it. */
  readonly hash: Hash;
}

export interface ReceivedFile {
  readonly sha256: string;
  /** It equals a published checksum. */
  readonly published: boolean;
}

/** A symbolic link in the file's place is not followed. */
const NO_FOLLOW = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);

/** The bytes that arrived are not part of the file: they must not be resumed. */
export class WrongContentError extends Error {}

export async function readPartialNote(paths: CachePaths): Promise<PartialNote | undefined> {
  try {
    return JSON.parse(await readFile(paths.partialNote, 'utf8')) as PartialNote;
  } catch {
    return undefined;
  }
}

/** Where a download from this source can resume; undefined where it has to start over. Reads the whole partial file. */
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
  // Of a complete partial file the last byte is downloaded again: no source answers a request for nothing.
  const fromByte = Math.min(doneBytes, (note.sizeBytes ?? Number.POSITIVE_INFINITY) - 1);
  if (fromByte < 1) return undefined;
  const hash = await hashFile(paths.partial, { end: fromByte - 1, signal });
  return { fromByte, validator, sha256: note.sha256, hash };
}

/** Receives a download to its end and checks it, whole. Throws WrongContentError where it is not the file. */
export async function receivePartial(
  paths: CachePaths,
  download: Download,
  by: {
    readonly file: RemoteFile;
    readonly source: string;
    readonly resume: ResumeState | undefined;
    readonly onBytes: (done: number, total: number) => void;
  },
): Promise<ReceivedFile> {
  const { file, source, resume, onBytes } = by;
  const expected = {
    sizeBytes: file.sizeBytes ?? download.sizeBytes,
    sha256: file.sha256 ?? download.sha256,
  };
  rejectMismatch(file, download);
  const { validator, startByte } = download;
  const partial = await open(paths.partial, NO_FOLLOW);
  let sha256: string;
  try {
    const hash = startByte > 0 && resume ? resume.hash.copy() : createHash('sha256');
    await partial.truncate(startByte);
    const note: PartialNote = { source, validator, ...expected };
    await writeFile(paths.partialNote, JSON.stringify(note), { flag: NO_FOLLOW | constants.O_TRUNC });
    const total = expected.sizeBytes ?? 0;
    const sizeBytes = await writeBytes(download, {
      partial,
      hash,
      expectedBytes: expected.sizeBytes,
      onBytes: (done) => onBytes(done, total),
    });
    await partial.sync();
    sha256 = hash.digest('hex');
    if (sizeBytes !== (expected.sizeBytes ?? sizeBytes))
      throw new WrongContentError(`the download ended after ${sizeBytes} of ${expected.sizeBytes} bytes`);
  } finally {
    await partial.close();
  }
  if (expected.sha256 === undefined) {
    const fault = await ggufFault(paths.partial);
    if (fault !== undefined) throw new WrongContentError(`the downloaded file ${fault}`);
  } else if (sha256 !== expected.sha256) {
    throw new WrongContentError('the downloaded file has the wrong checksum');
  }
  return { sha256, published: expected.sha256 !== undefined };
}

export async function removePartial(paths: CachePaths): Promise<boolean> {
  const there = (await stat(paths.partial).catch(() => undefined)) !== undefined;
  await rm(paths.partial, { force: true, recursive: true });
  await rm(paths.partialNote, { force: true });
  return there;
}

/** Before a byte is read. */
function rejectMismatch(file: RemoteFile, offered: Download): void {
  if (file.sizeBytes !== undefined && (offered.sizeBytes ?? file.sizeBytes) !== file.sizeBytes)
    throw new Error(`the source offers ${offered.sizeBytes} bytes, but ${file.sizeBytes} were expected`);
  if (file.sha256 !== undefined && (offered.sha256 ?? file.sha256) !== file.sha256)
    throw new Error('the source offers a file with another checksum');
}

/** Returns the size of the file. Writes at fixed positions, so that a second writer of the same file would do no harm. */
async function writeBytes(
  download: Download,
  to: {
    readonly partial: FileHandle;
    readonly hash: Hash;
    readonly expectedBytes: number | undefined;
    readonly onBytes: (doneBytes: number) => void;
  },
): Promise<number> {
  let doneBytes = download.startByte;
  to.onBytes(doneBytes);
  for await (const chunk of download.bytes) {
    const endByte = doneBytes + chunk.byteLength;
    if (endByte > (to.expectedBytes ?? endByte))
      throw new WrongContentError(`the source sent more than the expected ${to.expectedBytes} bytes`);
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

const DAY_MS = 24 * 3_600_000;
/** How old unfinished files of a model may become, by the ending of their names. A download can be resumed for a week. */
const ABANDONED_AFTER_MS: readonly (readonly [ending: string, ms: number])[] = [
  ['.gguf.partial', 7 * DAY_MS],
  ['.gguf.partial.json', 7 * DAY_MS],
  ['.gguf.scratch', 10 * 60_000],
  ['.gguf.lock', DAY_MS],
];

/** Removes what killed processes and forgotten downloads have left in the cache folder. What cannot be removed stays. */
export async function removeAbandoned(cacheDirectory: string): Promise<void> {
  for (const name of await readdir(cacheDirectory).catch(() => [])) {
    const found = ABANDONED_AFTER_MS.find(([ending]) => name.toLowerCase().endsWith(ending));
    if (found === undefined) continue;
    const path = join(cacheDirectory, name);
    const unchangedMs = Date.now() - (await lastChangeMs(path));
    if (unchangedMs > found[1]) await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}

/** The latest change of the file, or of anything in the folder; now, if it vanishes. */
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
