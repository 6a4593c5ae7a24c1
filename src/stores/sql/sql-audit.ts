/** The audit log in its table. A row that another program wrote, or that can't be read, never keeps the others from being listed. */
import type { AuditEntry, AuditLog } from '../store.ts';
import { isMap, parsed } from './row-values.ts';
import type { SqlDatabase, SqlRow, SqlValue } from './sql-database.ts';

const COLUMNS = ['at', 'actor', 'address', 'action', 'subject', 'details'] as const;

export const INSERT_AUDIT = `INSERT INTO llm_serve_audit (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map(() => '?').join(', ')})`;

/** For INSERT_AUDIT. */
export function auditValues({ at, actor, address, action, subject, details }: AuditEntry) {
  return [at, actor, address, action, subject, JSON.stringify(details)];
}

export class SqlAudit implements AuditLog {
  readonly #database: SqlDatabase;

  constructor(database: SqlDatabase) {
    this.#database = database;
  }

  async add(entry: AuditEntry): Promise<void> {
    await this.#database.write('full', (sql) => sql.run(INSERT_AUDIT, auditValues(entry)));
  }

  async list({ limit, before }: Parameters<AuditLog['list']>[0]): Promise<readonly AuditEntry[]> {
    const older = before === undefined ? '' : 'WHERE at < ?';
    const parameters: readonly SqlValue[] = before === undefined ? [limit] : [before, limit];
    const rows = await this.#database.run(
      `SELECT ${COLUMNS.join(', ')} FROM llm_serve_audit ${older} ORDER BY at DESC, number DESC LIMIT ?`,
      parameters,
    );
    return rows.map(entryOf);
  }
}

function entryOf(row: SqlRow): AuditEntry {
  const damaged: string[] = [];
  const at = timeOf(row.at);
  if (at !== row.at) damaged.push('at');
  const details = parsed(row.details);
  if (!isMap(details)) damaged.push('details');
  return {
    at,
    actor: String(row.actor),
    address: String(row.address),
    action: String(row.action),
    subject: String(row.subject),
    details: isMap(details) ? details : {},
    ...(damaged.length > 0 && { damage: damaged.join(', ') }),
  };
}

/** Times of years with four digits, by which a page is asked for. */
const FIRST_TIME = Date.parse('0000-01-01T00:00:00.000Z');
const LAST_TIME = Date.parse('9999-12-31T23:59:59.999Z');

/** The nearest that is one, so that it stands where the database has it: texts come behind all numbers. */
function timeOf(value: SqlValue | undefined): number {
  if (typeof value !== 'number' || Number.isNaN(value)) return LAST_TIME;
  return Math.floor(Math.min(Math.max(value, FIRST_TIME), LAST_TIME));
}
