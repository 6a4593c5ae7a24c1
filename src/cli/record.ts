/** The file of `serve --record`: a new one for this user alone, or a record that goes on; and its lines, for `whatif`. */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, write, writeSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { ConfigError } from '../config/config-error.ts';
import type { Log } from '../core/log.ts';
import { RECORD_VERSION } from '../core/record-file.ts';
import { systemClock } from '../system-clock.ts';
import type { Output } from '../telemetry/block-writer.ts';
import { MAX_RECORD_BYTES, Recorder } from '../telemetry/recorder.ts';

export interface RecordFile {
  readonly output: Output;
  /** That are in it already. */
  readonly bytes: number;
}

const ONLY_THIS_USER = 0o600;
const HEAD_BYTES = 256;
const RUN_ID_BYTES = 4;
const READ_BYTES = 1024 * 1024;

/** Throws ConfigError where the file cannot be written, or holds something else. */
export function openRecordFile(path: string): RecordFile {
  const descriptor = openFile(path);
  const status = fstatSync(descriptor);
  const reject = (why: string): never => {
    closeSync(descriptor);
    throw new ConfigError(`--record ${path}: ${why} Name another file.`);
  };
  if (!status.isFile()) return reject('this is no file.');
  const version = status.size > 0 ? versionOf(descriptor) : RECORD_VERSION;
  if (version === undefined)
    return reject('this file exists and is no record of llm-serve; nothing is written into it.');
  if (version !== RECORD_VERSION)
    return reject(
      `this is a record of version ${version}, but this llm-serve writes version ${RECORD_VERSION}; nothing is written into it.`,
    );
  if (status.size >= MAX_RECORD_BYTES)
    return reject(`this record is full: it has ${status.size} bytes, the most are ${MAX_RECORD_BYTES}.`);
  return {
    output: {
      write: (bytes, done) => write(descriptor, bytes, done),
      writeSync: (bytes) => writeSync(descriptor, bytes),
      waitSync: () => {},
    },
    bytes: status.size,
  };
}

function openFile(path: string): number {
  const { O_RDWR, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
  try {
    // Without O_NONBLOCK, to open a named pipe would wait for its reader.
    return openSync(path, O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK, ONLY_THIS_USER);
  } catch (error) {
    throw new ConfigError(`--record ${path} cannot be written: ${(error as Error).message}`);
  }
}

/** Its first line begins a run. Undefined where it is no record. */
function versionOf(descriptor: number): number | undefined {
  const head = Buffer.alloc(HEAD_BYTES);
  const text = head.toString('utf8', 0, readSync(descriptor, head, 0, HEAD_BYTES, 0));
  // A line break comes first where the first block of the record was lost.
  const version = /^\n?\{"llm_serve_record":(\d{1,6}),/.exec(text)?.[1];
  return version === undefined ? undefined : Number(version);
}

/** What it holds back is also written when the process ends by itself, or by an uncaught error. */
export function startRecorder(
  { output, bytes }: RecordFile,
  { log, version }: { readonly log: Log; readonly version: string },
): Recorder {
  const recorder = new Recorder({
    clock: systemClock,
    log,
    version,
    runId: randomBytes(RUN_ID_BYTES).toString('hex'),
    output,
    bytesBefore: bytes,
  });
  process.once('exit', () => recorder.closeSync());
  return recorder;
}

/** One by one: a whole record may be longer than the longest string. Throws where the file cannot be read. */
export function* recordLines(path: string): Generator<string> {
  const descriptor = openSync(path, 'r');
  try {
    const block = Buffer.alloc(READ_BYTES);
    const decoder = new StringDecoder('utf8');
    let begun = '';
    for (;;) {
      const read = readSync(descriptor, block);
      if (read === 0) break;
      const lines = (begun + decoder.write(block.subarray(0, read))).split('\n');
      begun = lines.pop() ?? '';
      yield* lines;
    }
    yield begun + decoder.end();
  } finally {
    closeSync(descriptor);
  }
}
