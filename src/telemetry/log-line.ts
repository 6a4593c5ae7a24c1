/** One line of the log: JSON for programs, or a readable form for a terminal. */
import type { Milliseconds } from '../core/clock.ts';
import type { LogFields } from '../core/log.ts';
import { printableLine, printableText } from '../core/printable-text.ts';

export type Severity = 'debug' | 'info' | 'warn' | 'error';

export interface LogEntry {
  readonly severity: Severity;
  /** Since the Unix epoch. */
  readonly at: Milliseconds;
  readonly message: string;
  /** What is undefined is left out. */
  readonly fields: LogFields;
}

export type LogFormat = (entry: LogEntry) => string;

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
