/** Where the layers below the edge say what happened; the edge decides on format and level. */
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

/**
 * Text that others have written (names of files, headers of models, what a server said) as it may be printed: a control character in
 * it would steer the reader's terminal, or forge a line. They are shown as `\u001b`. JSON needs none of this.
 */

/** Line breaks and tabs too. */
const CONTROLS = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;
/** A line break is meant, a carriage return is not. */
const CONTROLS_WITHIN_LINES = /(?![\n\t])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** For what must stay one line. */
export function printableLine(text: string): string {
  return text.replace(CONTROLS, escaped);
}

/** For texts of several lines. */
export function printableText(text: string): string {
  return text.replace(CONTROLS_WITHIN_LINES, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
