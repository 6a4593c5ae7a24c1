/**
 * A database that speaks SQL, as the store uses it. Texts have `?` for each parameter. All reject with a StoreError, whatever the driver's
 * own errors are.
 */
export type SqlValue = string | number | null;

/** Columns by name. Whole numbers beyond 2^53 are never asked for. */
export type SqlRow = Readonly<Record<string, SqlValue>>;

export type Dialect = 'sqlite' | 'postgres';

export interface Sql {
  run(text: string, parameters?: readonly SqlValue[]): Promise<readonly SqlRow[]>;
}

/** `full`: on the disk when it resolves. `normal`: survives the end of this process, but perhaps not that of the machine. */
export type Durability = 'full' | 'normal';

export interface SqlDatabase extends Sql {
  readonly dialect: Dialect;
  /** One transaction: it is committed when `work` resolves, and undone when it rejects. */
  write<Result>(durability: Durability, work: (sql: Sql) => Promise<Result>): Promise<Result>;
  /** As `write`, and no other process migrates at the same time. */
  migrate<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result>;
  close(): Promise<void>;
}

/** Without what PostgreSQL refuses in a text: NUL, and halves of surrogate pairs. */
export function storableText(text: string): string {
  return text.replaceAll('\0', '\ufffd').toWellFormed();
}
