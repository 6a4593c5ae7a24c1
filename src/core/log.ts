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
