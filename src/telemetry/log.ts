/** The Log port over standard output: JSON lines, or readable on a terminal. The event loop never waits for the reader. */
import { write, writeSync } from 'node:fs';
import type { Clock } from '../core/clock.ts';
import type { ApplicationLog, LogFields } from '../core/log.ts';
import { BlockWriter, type Output } from './block-writer.ts';
import { jsonLine, LEVELS, readableLine, type Severity } from './log-line.ts';

export interface LogOptions {
  readonly level: Severity | 'silent';
  readonly format: 'auto' | 'pretty' | 'json';
  readonly isTerminal: boolean;
  readonly clock: Clock;
  readonly output?: Output;
}

export interface ProcessLog extends ApplicationLog {
  /** Before the process ends: settles when everything is written, or cannot be; later lines are dropped. */
  close(): Promise<void>;
}

const standardOutput: Output = {
  write: (bytes, done) => write(1, bytes, done),
  writeSync: (bytes) => writeSync(1, bytes),
  waitSync: (forMs) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs),
};

/** Once in a process: what is held is also written when the process ends by itself, or by an error that nobody caught. */
export function openLog({
  level,
  format,
  isTerminal,
  clock,
  output = standardOutput,
}: LogOptions): ProcessLog {
  const readable = format === 'pretty' || (format === 'auto' && isTerminal);
  const lineOf = readable ? readableLine({ colours: isTerminal }) : jsonLine;
  const writer = new BlockWriter({
    clock,
    output,
    atOnce: isTerminal,
    dropNotice: (lines) =>
      lineOf({
        severity: 'warn',
        at: clock.wallNow(),
        message: 'Log lines were dropped: standard output was not read fast enough, or could not be written.',
        fields: { lines },
      }),
  });
  const closeSync = () => writer.closeSync();
  process.once('exit', closeSync);
  const at = (severity: Severity, urgent = true) => {
    if (level === 'silent' || LEVELS[severity] < LEVELS[level]) return () => {};
    return (message: string, fields: LogFields = {}) =>
      writer.write(lineOf({ severity, at: clock.wallNow(), message, fields }), urgent);
  };
  const writeRequest = at('info', false);
  let closed: Promise<void> | undefined;
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    request: (fields) => writeRequest('request', fields),
    close: () => {
      closed ??= closeAlive(writer).then(() => void process.off('exit', closeSync));
      return closed;
    },
  };
}

/** A clock's timers do not keep the process alive; the end of the log has to. */
async function closeAlive(writer: BlockWriter): Promise<void> {
  const alive = setInterval(() => {}, 1000);
  await writer.close();
  clearInterval(alive);
}
