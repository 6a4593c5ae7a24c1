/**
 * The log on standard output: JSON lines for programs, one readable line each on a terminal. Messages are plain English, the
 * facts are fields. The event loop never waits for the reader.
 */
import { write, writeSync } from 'node:fs';
import type { Clock, Milliseconds } from '../core/clock.ts';
import { type ApplicationLog, type LogFields, printableLine, printableText } from '../core/log.ts';
import { type RequestRecord, timingsOf } from '../core/request-trace.ts';
import { BlockWriter, type Output } from './block-writer.ts';

export type Severity = 'debug' | 'info' | 'warn' | 'error';

/** As readers of pino's and bunyan's lines know them. */
export const LEVELS: Readonly<Record<Severity, number>> = { debug: 20, info: 30, warn: 40, error: 50 };

export interface LogOptions {
  readonly level: Severity | 'silent';
  readonly format: 'auto' | 'pretty' | 'json';
  readonly isTerminal: boolean;
  readonly clock: Clock;
  readonly output?: Output;
  /** At the end of each line. */
  readonly fields?: LogFields;
}

interface ProcessLog extends ApplicationLog {
  /** Text for a person, between the lines. Nothing where lines are JSON. */
  print(text: string): void;
  /** Lines that another process of ours has written as this one would. */
  copy(lines: string): void;
  /** Before the process ends: settles when everything is written, or cannot be; later lines are dropped. */
  close(): Promise<void>;
}

const standardOutput: Output = {
  write: (bytes, done) => write(1, bytes, done),
  writeSync: (bytes) => writeSync(1, bytes),
  waitSync: (forMs) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs),
};

/** Once in a process: what is held is also written when the process ends by itself, or by an uncaught error. */
export function openLog({
  level,
  format,
  isTerminal,
  clock,
  output = standardOutput,
  fields: ofProcess,
}: LogOptions): ProcessLog {
  const isReadable = format === 'pretty' || (format === 'auto' && isTerminal);
  const lineOf = isReadable ? readableLine({ colours: isTerminal }) : jsonLine;
  const writer = new BlockWriter({
    clock,
    output,
    immediate: isTerminal,
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
    return (message: string, given: LogFields = {}) => {
      const fields = ofProcess === undefined ? given : { ...given, ...ofProcess };
      writer.write(lineOf({ severity, at: clock.wallNow(), message, fields }), urgent);
    };
  };
  const writeRequest = at('info', false);
  let closed: Promise<void> | undefined;
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    request: (fields) => writeRequest(REQUEST, fields),
    print: (text) => {
      if (isReadable && level !== 'silent') writer.write(printableText(text), true);
    },
    copy: (lines) => writer.write(lines, true, lines.split('\n').length - 1),
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

/** The message of a request's line. */
export const REQUEST = 'request';

/** Asked every few seconds by load balancers and orchestrators: their requests are logged at `debug`. */
const PROBES: ReadonlySet<string> = new Set(['/health', '/ready']);

export function isProbe({ route }: RequestRecord): boolean {
  return PROBES.has(route);
}

/** The facts of one request. No prompt, no answer, and of a key its name alone. */
export function requestFields({
  method,
  path,
  status,
  clientAddress,
  trace,
  endedAt,
}: RequestRecord): LogFields {
  const { usage, attempts, caller } = trace;
  const timings = timingsOf(trace, endedAt);
  /** A model was asked. */
  const asked = trace.enqueuedAt === undefined ? undefined : timings;
  const tries = attempts !== undefined && attempts.length > 1 ? attempts : undefined;
  return {
    requestId: trace.requestId,
    traceId: trace.spanNotes && trace.traceContext?.traceId,
    method,
    path,
    status,
    clientAddress,
    keyName: caller?.name,
    team: caller?.team,
    latencyMs: timings.totalMs,
    model: trace.model,
    priority: trace.priority,
    servedModel: trace.servedModel,
    target: trace.target,
    attempts: tries?.length,
    attemptCauses: tries?.flatMap(({ failure }) => failure ?? []),
    targets: tries?.map(({ target }) => target),
    promptTokens: usage?.promptTokens,
    completionTokens: usage?.completionTokens,
    finishReason: trace.finishReason,
    errorCode: trace.errorCode,
    resumed: trace.resumptions,
    notResumed: trace.notResumed,
    droppedFields: trace.droppedFields?.length ? trace.droppedFields : undefined,
    queueMs: asked?.queueMs,
    upstreamMs: asked?.upstreamMs,
    ttftMs: asked?.ttftMs,
    generateMs: asked?.generateMs,
    gatewayMs: asked?.gatewayMs,
    cancelPhase: trace.cancelPhase,
  };
}

export interface LogEntry {
  readonly severity: Severity;
  /** Since the Unix epoch. */
  readonly at: Milliseconds;
  readonly message: string;
  /** Undefined ones are omitted. */
  readonly fields: LogFields;
}

type LogFormat = (entry: LogEntry) => string;

export const jsonLine: LogFormat = ({ severity, at, message, fields }) => {
  const text = jsonOf(fields);
  const members = text.length <= 2 ? '' : `,${text.slice(1, -1)}`;
  const msg = JSON.stringify(message);
  return `{"level":${LEVELS[severity]},"time":"${new Date(at).toISOString()}"${members},"msg":${msg}}\n`;
};

/** Whatever a field holds, its line is written. */
function jsonOf(fields: LogFields): string {
  try {
    return JSON.stringify(fields);
  } catch (error) {
    return JSON.stringify({ unwritableFields: Object.keys(fields), because: String(error) });
  }
}

const COLOURS: Readonly<Record<Severity, number>> = { debug: 34, info: 32, warn: 33, error: 31 };
const GREY = 90;

/** The local time, the message, its fields as `name=value`. Text of several lines, as a stack is, follows on lines of its own. */
export function readableLine({ colours }: { readonly colours: boolean }): LogFormat {
  const paint = (text: string, colour: number) => (colours ? `\x1b[${colour}m${text}\x1b[39m` : text);
  return ({ severity, at, message, fields }) => {
    const name = paint(severity.toUpperCase().padEnd(5), COLOURS[severity]);
    const head = `${paint(localTime(at), GREY)} ${name} `;
    if (message === REQUEST) return `${head}${printableLine(requestText(fields))}\n`;
    const shown: string[] = [];
    const below: string[] = [];
    for (const [field, value] of Object.entries(fields)) {
      if (value === undefined) continue;
      if (typeof value === 'string' && value.includes('\n')) below.push(value);
      else shown.push(` ${paint(`${field}=`, GREY)}${printableLine(valueText(value))}`);
    }
    const text = below.map((lines) => `${printableText(lines).replace(/^/gm, '    ')}\n`);
    return `${head}${printableLine(message)}${shown.join('')}\n${text.join('')}`;
  };
}

function valueText(value: unknown): string {
  if (typeof value === 'string' && /^[^\s"=]+$/.test(value)) return value;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

/** `POST /generate 200 in 1.24 s: smollm2, 12 + 34 tokens, first token after 85 ms, id 7f3a`. The rest is in the JSON lines. */
function requestText(fields: LogFields): string {
  const { method, path, status, latencyMs, promptTokens, completionTokens, ttftMs, queueMs } = fields;
  const { finishReason, cancelPhase, droppedFields, attempts, attemptCauses, servedModel } = fields;
  const facts = [
    fields.errorCode,
    fields.model,
    servedModel === undefined ? undefined : `answered by ${servedModel}`,
    Array.isArray(attemptCauses) ? `${attempts} attempts (${attemptCauses.join(', ')})` : undefined,
    promptTokens === undefined ? undefined : `${promptTokens} + ${completionTokens} tokens`,
    typeof queueMs === 'number' && queueMs >= 1 ? `queued ${durationText(queueMs)}` : undefined,
    typeof ttftMs === 'number' ? `first token after ${durationText(ttftMs)}` : undefined,
    finishReason === 'stop' ? undefined : finishReason,
    cancelPhase === undefined ? undefined : `cancelled while ${cancelPhase}`,
    fields.resumed === undefined ? undefined : `resumed ${fields.resumed} times`,
    fields.notResumed === undefined ? undefined : `not resumed: ${fields.notResumed}`,
    Array.isArray(droppedFields) ? `dropped ${droppedFields.join(' ')}` : undefined,
    fields.keyName === undefined ? undefined : `key ${fields.keyName}`,
    `id ${fields.requestId}`,
  ].filter((fact) => fact !== undefined);
  return `${method} ${path} ${status} in ${durationText(Number(latencyMs))}: ${facts.join(', ')}`;
}

function durationText(milliseconds: Milliseconds): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(2)} s`;
  return `${milliseconds < 10 ? Math.round(milliseconds * 10) / 10 : Math.round(milliseconds)} ms`;
}

function localTime(at: Milliseconds): string {
  const date = new Date(at);
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((value) => String(value).padStart(2, '0'))
    .join(':');
}
