/** What went wrong in SQLite, as the store's errors. */
import { StoreError, type StoreFault } from '../store.ts';

/** Primary result codes: https://sqlite.org/rescode.html */
const FAULTS: Readonly<Record<number, { readonly fault: StoreFault; readonly words: string }>> = {
  3: { fault: 'refused', words: 'may not be read or written by this user' },
  5: { fault: 'unavailable', words: 'is locked by another process' },
  6: { fault: 'unavailable', words: 'is locked by another process' },
  8: { fault: 'refused', words: 'can’t be written: the file, its folder or the file system is read-only' },
  10: { fault: 'unavailable', words: 'can’t be read or written: the disk reports an error' },
  11: { fault: 'corrupt', words: 'is damaged. Restore a backup: llm-serve data restore FILE' },
  13: { fault: 'full', words: 'can’t be written: no space is left on its disk' },
  14: { fault: 'refused', words: 'can’t be opened: its folder is missing, or this user may not use it' },
  26: { fault: 'corrupt', words: 'is not a SQLite database' },
};

/** Extended: 10 with this is an I/O error because no space is left for the shared memory beside the file. */
const SHARED_MEMORY_FULL = 10 | (19 << 8);

/** Errors of statements that return rows come without their code, and have SQLite's own text for it. */
const CODES: Readonly<Record<string, number>> = {
  'access permission denied': 3,
  'database is locked': 5,
  'database table is locked': 6,
  'attempt to write a readonly database': 8,
  'disk I/O error': 10,
  'database disk image is malformed': 11,
  'database or disk is full': 13,
  'unable to open database file': 14,
  'file is not a database': 26,
};

/** `path`: of the file. What is no error of SQLite stays as it is. */
export function sqliteFault(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof StoreError) return error;
  const { code: kind, errcode } = error as { readonly code?: unknown; readonly errcode?: unknown };
  if (kind !== 'ERR_SQLITE_ERROR') return error;
  const code = typeof errcode === 'number' ? errcode : (CODES[error.message] ?? 0);
  const found = FAULTS[code === SHARED_MEMORY_FULL ? 13 : code & 0xff];
  const [fault, words] =
    found === undefined
      ? (['unavailable', `reports: ${error.message}`] as const)
      : [found.fault, found.words];
  return new StoreError(fault, `${path} ${words}.`, { cause: error });
}
