/** The port of the database for the log of what administrators did. */

export interface AuditEntry {
  /** Since the Unix epoch. */
  readonly at: number;
  /** Who: the name of the key, `this machine`, or `command line: USER`. */
  readonly actor: string;
  /** From where: a client's address; the name of the machine for the command line. */
  readonly address: string;
  /** `key.create`, `target.drain`, … */
  readonly action: string;
  /** What it was done to; never a secret. */
  readonly subject: string;
  /** Further facts, never a secret. */
  readonly details: Readonly<Record<string, unknown>>;
  /** Which of these can't be read from the database. Absent: none. */
  readonly damage?: string;
}

/** Entries are added and never changed. Both methods reject with a StoreError. */
export interface AuditLog {
  add(entry: AuditEntry): Promise<void>;
  /** The newest first. `before`: only older ones. */
  list(options: {
    readonly limit: number;
    readonly before?: number | undefined;
  }): Promise<readonly AuditEntry[]>;
}
