/** The Log port over pino: JSON lines, or readable on a terminal. Written to standard output without blocking the event loop. */
import { pino } from 'pino';
import pretty from 'pino-pretty';
import type { Log, LogFields } from '../core/log.ts';
import { printableLine, printableText } from '../core/printable-text.ts';

export interface LogOptions {
  readonly level: string;
  readonly format: 'auto' | 'pretty' | 'json';
  readonly isTerminal: boolean;
}

export interface ProcessLog extends Log {
  /** Before the process ends: settles when everything is written, or cannot be; later lines are dropped. */
  close(): Promise<void>;
}

/** For a reader of standard output that takes nothing. */
const CLOSE_WITHIN_MS = 500;

export function openLog({ level, format, isTerminal }: LogOptions): ProcessLog {
  const readable = format === 'pretty' || (format === 'auto' && isTerminal);
  const destination = pino.destination({ fd: 1, sync: false });
  const stream = readable
    ? pretty({ destination, colorize: isTerminal, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' })
    : destination;
  const logger = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, stream);
  // Whoever read standard output may have gone: nothing to write to is no reason to fail, or to wait at the end.
  let broken = false;
  destination.on('error', () => {
    broken = true;
  });
  let closed: Promise<void> | undefined;
  const close = () =>
    new Promise<void>((resolve) => {
      const finish = () => {
        clearTimeout(limit);
        // Else the library would try to write synchronously when the process exits, for ever.
        destination.destroy();
        resolve();
      };
      const limit = setTimeout(finish, CLOSE_WITHIN_MS);
      if (broken) return finish();
      destination.once('close', finish);
      destination.once('error', finish);
      stream.end();
    });
  const write =
    (severity: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields: LogFields = {}) => {
      if (closed) return;
      if (readable) logger[severity](printableFields(fields), printableLine(message));
      else logger[severity](fields, message);
    };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

/** Their strings, those in lists too. */
function printableFields(fields: LogFields): LogFields {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, printableValue(value)]));
}

function printableValue(value: unknown): unknown {
  if (typeof value === 'string') return printableText(value);
  return Array.isArray(value) ? value.map(printableValue) : value;
}
