/** The log that every layer writes to, and foreign text made safe to print. The telemetry layer decides on format and level. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** The log of the whole application. */
export interface ApplicationLog extends Log {
  /** The line of one request, at `info`. It may be written a moment later, in a block with others. */
  request(fields: LogFields): void;
}

export const silentLog: ApplicationLog = { debug() {}, info() {}, warn() {}, error() {}, request() {} };

/** Line breaks and tabs included. */
const CONTROLS = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;
/** Line breaks and tabs are kept, carriage returns are not. */
const CONTROLS_WITHIN_LINES = /(?![\n\t])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/**
 * Foreign text (file names, model headers, a server's messages) as one line without control characters, which could steer the
 * reader's terminal or forge a line: they are shown as `\u001b`. Text that is logged as JSON needs none of this.
 */
export function printableLine(text: string): string {
  return text.replace(CONTROLS, escaped);
}

/** The same for text of several lines. */
export function printableText(text: string): string {
  return text.replace(CONTROLS_WITHIN_LINES, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
