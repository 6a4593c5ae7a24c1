/** Usage in its table. Rows travel as JSON: one statement adds many, and a text is cheap to hand to another thread. */
import type { UsageDimension, UsageQuery, UsageRow, UsageSum } from '../../usage/usage-row.ts';
import type { UsageStore } from '../store.ts';
import { LAST_TIME } from './row-values.ts';
import { type Dialect, type SqlDatabase, type SqlRow, type SqlValue, storableText } from './sql-database.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** A writer that could not write for so long starts a new batch. */
const BATCHES_KEPT_MS = DAY_MS;
/** As many take about a millisecond to write as JSON; other work gets its turn in between. */
const ROWS_A_TEXT = 500;

const LONGEST_KEY_TEXT = 160;

const KEY_COLUMNS = { hour: 'BIGINT', caller: 'TEXT', team: 'TEXT', model: 'TEXT', target: 'TEXT' } as const;

/** Each measure's column. */
const MEASURES = {
  requests: 'requests',
  errors: 'errors',
  rejections: 'rejections',
  promptTokens: 'prompt_tokens',
  cachedTokens: 'cached_tokens',
  completionTokens: 'completion_tokens',
  costNano: 'cost_nano',
  slotMs: 'slot_ms',
} as const satisfies Readonly<Partial<Record<keyof UsageRow, string>>>;

type Measure = keyof typeof MEASURES;

const MEASURE_NAMES = Object.keys(MEASURES) as readonly Measure[];
const MEASURE_COLUMNS = Object.values(MEASURES);

const typeOf = (column: string) => (column === 'slot_ms' ? 'DOUBLE PRECISION' : 'BIGINT');

/** The rows of a JSON list of lists, as a table `given`. */
const GIVEN: Readonly<Record<Dialect, string>> = {
  sqlite: givenColumns((index) => `json_extract(value, '$[${index}]')`, 'json_each(?)'),
  postgres: givenColumns(
    (index) => `(value ->> ${index})`,
    'json_array_elements(CAST(CAST(? AS TEXT) AS JSON)) AS each (value)',
  ),
};

function givenColumns(element: (index: number) => string, source: string): string {
  const types = [
    ...Object.entries(KEY_COLUMNS),
    ...MEASURE_COLUMNS.map((name) => [name, typeOf(name)] as const),
  ];
  const columns = types.map(([name, type], index) => `CAST(${element(index)} AS ${type}) AS ${name}`);
  return `SELECT ${columns.join(', ')} FROM ${source}`;
}

/** Sorted, so that two replicas that add to the same rows never wait for one another in a circle. */
function addStatement(dialect: Dialect): string {
  const keys = Object.keys(KEY_COLUMNS).join(', ');
  const sums = MEASURE_COLUMNS.map((name) => `CAST(sum(${name}) AS ${typeOf(name)})`);
  const added = MEASURE_COLUMNS.map((name) => `${name} = llm_serve_usage.${name} + excluded.${name}`);
  return `INSERT INTO llm_serve_usage (${keys}, ${MEASURE_COLUMNS.join(', ')})
    SELECT ${keys}, ${sums.join(', ')} FROM (${GIVEN[dialect]}) AS given WHERE true GROUP BY ${keys} ORDER BY ${keys}
    ON CONFLICT (${keys}) DO UPDATE SET ${added.join(', ')}`;
}

const ADD: Readonly<Record<Dialect, string>> = {
  sqlite: addStatement('sqlite'),
  postgres: addStatement('postgres'),
};

/** What adds up a column: SQLite's sum() fails where whole numbers are too many for 64 bits, and all that was used is unknown then. */
const SUM: Readonly<Record<Dialect, string>> = { sqlite: 'total', postgres: 'sum' };

/** What rows are grouped by, and the text of a group. */
const DIMENSIONS: Readonly<Record<UsageDimension, { readonly by: string; text(value: SqlValue): string }>> = {
  key: { by: 'caller', text: String },
  team: { by: 'team', text: String },
  model: { by: 'model', text: String },
  target: { by: 'target', text: String },
  day: { by: `hour - hour % ${DAY_MS}`, text: (value) => isoTime(value).slice(0, 'YYYY-MM-DD'.length) },
  hour: { by: 'hour', text: (value) => isoTime(value).slice(0, 'YYYY-MM-DDTHH'.length) },
};

function isoTime(value: SqlValue): string {
  return new Date(Number(value)).toISOString();
}

export class SqlUsage implements UsageStore {
  readonly #database: SqlDatabase;

  constructor(database: SqlDatabase) {
    this.#database = database;
  }

  async add(rows: readonly UsageRow[], batch: string): Promise<void> {
    await this.addTexts(await textsOf(rows), batch);
  }

  /** `texts`: of `textsOf`. */
  async addTexts(texts: readonly string[], batch: string): Promise<void> {
    const now = Date.now();
    await this.#database.write('normal', async (sql) => {
      await sql.run('DELETE FROM llm_serve_usage_batches WHERE added_at < ?', [now - BATCHES_KEPT_MS]);
      const isNew = await sql.run(
        'INSERT INTO llm_serve_usage_batches (batch, added_at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING batch',
        [batch, now],
      );
      if (isNew.length === 0) return;
      for (const text of texts) await sql.run(ADD[this.#database.dialect], [text]);
    });
  }

  async report({ by, from, to, caller, team }: UsageQuery): Promise<readonly UsageSum[]> {
    const { dialect } = this.#database;
    const groups = by.map((dimension) => DIMENSIONS[dimension].by);
    const columns = [
      ...groups.map((group, index) => `${group} AS by_${index}`),
      ...MEASURE_COLUMNS.map((name) => `CAST(${SUM[dialect]}(${name}) AS DOUBLE PRECISION) AS ${name}`),
    ];
    const conditions: readonly (readonly [string, SqlValue | undefined])[] = [
      ['hour >= ?', wholeTime(from)],
      ['hour < ?', wholeTime(to)],
      ['caller = ?', caller && keyText(caller)],
      ['team = ?', team && keyText(team)],
    ];
    const asked = conditions.filter(
      (condition): condition is readonly [string, SqlValue] => condition[1] !== undefined,
    );
    const rows = await this.#database.run(
      `SELECT ${columns.join(', ')} FROM llm_serve_usage WHERE ${asked.map(([text]) => text).join(' AND ')}
       ${groups.length === 0 ? '' : `GROUP BY ${groups.join(', ')}`} HAVING count(*) > 0`,
      asked.map(([, value]) => value),
    );
    return rows.map((row) => sumOf(row, by)).sort(inOrder);
  }
}

/** Hours are whole numbers, and so are columns of them. Those that no Date can hold are of no time. */
function wholeTime(time: number): number {
  return Math.ceil(Math.min(Math.max(time, 0), LAST_TIME));
}

function sumOf(row: SqlRow, by: readonly UsageDimension[]): UsageSum {
  const measures = MEASURE_NAMES.map((name) => [name, Number(row[MEASURES[name]])] as const);
  return {
    by: by.map((dimension, index) => DIMENSIONS[dimension].text(row[`by_${index}`] ?? null)),
    ...(Object.fromEntries(measures) as Record<Measure, number>),
  };
}

function inOrder(one: UsageSum, other: UsageSum): number {
  const [first, second] = [JSON.stringify(one.by), JSON.stringify(other.by)];
  if (first === second) return 0;
  return first < second ? -1 : 1;
}

/** Rows as JSON, in texts of a bounded size each. */
export async function textsOf(rows: readonly UsageRow[]): Promise<readonly string[]> {
  const texts: string[] = [];
  for (let at = 0; at < rows.length; at += ROWS_A_TEXT) {
    if (at > 0) await new Promise((resolve) => setImmediate(resolve));
    texts.push(JSON.stringify(rows.slice(at, at + ROWS_A_TEXT).map(valuesOf)));
  }
  return texts;
}

function valuesOf(row: UsageRow): readonly (string | number)[] {
  return [
    row.hour,
    keyText(row.caller),
    keyText(row.team),
    keyText(row.model),
    keyText(row.target),
    row.requests,
    row.errors,
    row.rejections,
    row.promptTokens,
    row.cachedTokens,
    row.completionTokens,
    Math.round(row.costNano),
    row.slotMs,
  ];
}

/** Clients choose some of these texts: what no database takes is replaced, and the index has room for four of them. */
function keyText(text: string): string {
  return storableText(text.slice(0, LONGEST_KEY_TEXT));
}
