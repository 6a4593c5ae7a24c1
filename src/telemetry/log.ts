/** The Log port over pino: JSON lines, or readable on a terminal. Written to standard output without blocking the event loop. */
import { pino } from 'pino';
import pretty from 'pino-pretty';
import type { Log, LogFields } from '../core/log.ts';

export interface LogOptions {
  readonly level: string;
  readonly format: 'auto' | 'pretty' | 'json';
  readonly isTerminal: boolean;
}

export interface ProcessLog extends Log {
  /** Writes out what is buffered; before the process ends. */
  flush(): void;
}

export function openLog({ level, format, isTerminal }: LogOptions): ProcessLog {
  const readable = format === 'pretty' || (format === 'auto' && isTerminal);
  const destination = pino.destination({ fd: 1, sync: false });
  const stream = readable
    ? pretty({ destination, colorize: isTerminal, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' })
    : destination;
  const logger = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, stream);
  const write =
    (severity: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields: LogFields = {}) =>
      logger[severity](fields, message);
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    flush: () => {
      try {
        destination.flushSync();
      } catch {
        // The destination never became ready (standard output is closed): there is nothing to write to.
      }
    },
  };
}
