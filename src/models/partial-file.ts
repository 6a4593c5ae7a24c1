/**
 * What has arrived of a file so far. It stays when a download is cut off, with a note of what it is a part of, so
 * that the next try can go on; its checksum is always taken over all of it, also over what was there before.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { constants, type FileHandle, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { CachePaths } from './cached-file.ts';
import { GgufError, readGgufHeader } from './gguf-header.ts';
import type { RemoteFile } from './remote-file.ts';
import type { Delivery, ResumePoint } from './source-options.ts';

export interface PartialNote {
  readonly source: string;
  readonly validator?: string | undefined;
  /** Of the whole file. */
  readonly sha256?: string | undefined;
  /** Of the whole file. */
  readonly sizeBytes?: number | undefined;
}

/** What is there already, and can be gone on with. */
export interface Beginning extends ResumePoint {
  /** Over its bytes: taken before a source is asked, which would not wait for that. */
  readonly hash: Hash;
}

export interface Received {
  readonly sha256: string;
  /** Whether that is what was published. */
  readonly published: boolean;
}

/** A link that somebody put in its place is not followed. */
const OWN_FILE = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);

/** What arrived is not, and will not become, the file: there is no point in going on with it. */
export class WrongContentError extends Error {}

export async function readNote(paths: CachePaths): Promise<PartialNote | undefined> {
  try {
    return JSON.parse(await readFile(paths.partialNote, 'utf8')) as PartialNote;
  } catch {
    return undefined;
  }
}

/** Where a download from this source can go on; undefined where it has to begin anew. Reads all that is there. */
export async function findBeginning(
  paths: CachePaths,
  by: { readonly file: RemoteFile; readonly source: string; readonly signal: AbortSignal },
): Promise<Beginning | undefined> {
  const { file, source, signal } = by;
  const note = await readNote(paths);
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
  delivery: Delivery,
  by: {
    readonly file: RemoteFile;
    readonly source: string;
    readonly beginning: Beginning | undefined;
    readonly onBytes: (done: number, total: number) => void;
  },
): Promise<Received> {
  const { file, source, beginning, onBytes } = by;
  const expected = {
    sizeBytes: file.sizeBytes ?? delivery.sizeBytes,
    sha256: file.sha256 ?? delivery.sha256,
  };
  refuseAnother(file, delivery);
  const { validator, startByte } = delivery;
  const partial = await open(paths.partial, OWN_FILE);
  let sha256: string;
  try {
    // 1. What is there already counts too.
    const hash = startByte > 0 && beginning ? beginning.hash.copy() : createHash('sha256');
    await partial.truncate(startByte);
    const note: PartialNote = { source, validator, ...expected };
    await writeFile(paths.partialNote, JSON.stringify(note), { flag: OWN_FILE | constants.O_TRUNC });
    // 2. The rest.
    const total = expected.sizeBytes ?? 0;
    const sizeBytes = await write(delivery, {
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
  if (expected.sha256 === undefined) await refuseBrokenGguf(paths.partial);
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
function refuseAnother(file: RemoteFile, offered: Delivery): void {
  if (file.sizeBytes !== undefined && (offered.sizeBytes ?? file.sizeBytes) !== file.sizeBytes)
    throw new Error(`it offers ${offered.sizeBytes} bytes where ${file.sizeBytes} were expected`);
  if (file.sha256 !== undefined && (offered.sha256 ?? file.sha256) !== file.sha256)
    throw new Error('it offers a file with another checksum');
}

/** The size of the file at its end. Written at fixed places: a second writer of the same file would do no harm. */
async function write(
  delivery: Delivery,
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

async function refuseBrokenGguf(path: string): Promise<void> {
  try {
    await readGgufHeader(path);
  } catch (error) {
    if (error instanceof GgufError) throw new WrongContentError(`what it sent ${error.message}`);
    throw error;
  }
}
