/** The Log port over standard output: JSON lines, or readable on a terminal. The event loop never waits for the reader. */

import { write, writeSync } from 'node:fs';
import type { Clock, Milliseconds } from '../core/clock.ts';
import { type ApplicationLog, type LogFields, printableLine, printableText } from '../core/log.ts';
import { type RequestRecord, timingsOf } from '../core/request-trace.ts';
import { BlockWriter, type Output } from './block-writer.ts';

export interface LogOptions {
  readonly level: Severity | 'silent';
  readonly format: 'auto' | 'pretty' | 'json';
  readonly isTerminal: boolean;
  readonly clock: Clock;
  readonly output?: Output;
}

interface ProcessLog extends ApplicationLog {
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

/** One line of the log: JSON for programs, or a readable form for a terminal. */

export type Severity = 'debug' | 'info' | 'warn' | 'error';

export interface LogEntry {
  readonly severity: Severity;
  /** Since the Unix epoch. */
  readonly at: Milliseconds;
  readonly message: string;
  /** What is undefined is left out. */
  readonly fields: LogFields;
}

type LogFormat = (entry: LogEntry) => string;

/** As readers of pino's and bunyan's lines know them. */
export const LEVELS: Readonly<Record<Severity, number>> = { debug: 20, info: 30, warn: 40, error: 50 };

export const jsonLine: LogFormat = ({ severity, at, message, fields }) => {
  const members = membersOf(fields);
  const msg = JSON.stringify(message);
  return `{"level":${LEVELS[severity]},"time":"${new Date(at).toISOString()}"${members},"msg":${msg}}\n`;
};

/** `,"name":value` for each field. */
function membersOf(fields: LogFields): string {
  const text = jsonOf(fields);
  return text.length <= 2 ? '' : `,${text.slice(1, -1)}`;
}

/** Whatever a field holds, its line is written. */
function jsonOf(fields: LogFields): string {
  try {
    return JSON.stringify(fields);
  } catch (error) {
    return JSON.stringify({ unwritableFields: Object.keys(fields), because: String(error) });
  }
}

const COLOURS: Readonly<Record<Severity, number>> = { debug: 34, info: 32, warn: 33, error: 31 };
const CYAN = 36;
const MAGENTA = 35;

/** The local time, the message, and each field on a line of its own. */
export function readableLine({ colours }: { readonly colours: boolean }): LogFormat {
  const paint = (text: string, colour: number) => (colours ? `\x1b[${colour}m${text}\x1b[39m` : text);
  return ({ severity, at, message, fields }) => {
    const name = paint(severity.toUpperCase(), COLOURS[severity]);
    const head = `[${localTime(at)}] ${name}: ${paint(printableLine(message), CYAN)}\n`;
    const lines = Object.entries(fields).flatMap(([field, value]) =>
      value === undefined
        ? []
        : [`    ${paint(field, MAGENTA)}: ${printableText(valueText(field, value))}\n`],
    );
    return head + lines.join('');
  };
}

function valueText(field: string, value: unknown): string {
  const text = jsonOf({ [field]: value });
  return text === '{}' ? '' : text.slice(JSON.stringify(field).length + 2, -1);
}

function localTime(at: Milliseconds): string {
  const date = new Date(at);
  const digits = (value: number, length = 2) => String(value).padStart(length, '0');
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((value) => digits(value))
    .join(':');
  return `${clock}.${digits(date.getMilliseconds(), 3)}`;
}

/** The one log line of a request. No prompt, no answer, no key. */

export function requestLine({
  method,
  path,
  status,
  clientAddress,
  trace,
  endedAt,
}: RequestRecord): LogFields {
  const { usage } = trace;
  const timings = timingsOf(trace, endedAt);
  // What is undefined is left out of the line.
  return {
    requestId: trace.requestId,
    method,
    path,
    status,
    clientAddress,
    latencyMs: Math.round((endedAt - trace.receivedAt) * 10) / 10,
    model: trace.model,
    priority: trace.priority,
    target: trace.target,
    promptTokens: usage?.promptTokens,
    completionTokens: usage?.completionTokens,
    finishReason: trace.finishReason,
    errorCode: trace.errorCode,
    droppedFields: trace.droppedFields?.length ? trace.droppedFields : undefined,
    queueMs: trace.enqueuedAt === undefined ? undefined : timings.queueMs,
    ttftMs: trace.firstTokenAt === undefined ? undefined : timings.ttftMs,
    cancelPhase: trace.cancelPhase,
  };
}
