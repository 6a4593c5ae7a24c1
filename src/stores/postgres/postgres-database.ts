/**
 * A PostgreSQL database, as a SqlDatabase. A few connections, which come back by themselves after the server was gone. The server ends
 * statements that take too long; where it does not even answer, the connections are given up and the next call makes new ones.
 */
import postgres from 'postgres';
import type { Milliseconds } from '../../core/clock.ts';
import {
  type Durability,
  type Sql,
  type SqlDatabase,
  type SqlRow,
  type SqlValue,
  storableText,
} from '../sql/sql-database.ts';
import { type StoreAccess, StoreError } from '../store.ts';
import { type PostgresAddress, parsePostgresAddress } from './postgres-address.ts';
import { postgresFault, tooLate } from './postgres-faults.ts';

export interface PostgresTimes {
  /** For one statement, by the server's clock. */
  readonly statementMs: Milliseconds;
  /** For a call as a whole, by our clock: also where nothing comes back. */
  readonly callMs: Milliseconds;
}

/** What its thread is started with. */
export interface PostgresOptions {
  readonly address: string;
  readonly times: Partial<PostgresTimes>;
  readonly access: StoreAccess;
}

const TIMES: PostgresTimes = { statementMs: 5000, callMs: 8000 };
/** Tables with years of usage take a while to change. */
const MIGRATION_MS: Milliseconds = 10 * 60_000;
/** One for each lane of serve-store.ts. */
const CONNECTIONS = 4;
const IDLE_SECONDS = 60;
/** Any number that no one else uses: of the lock that one migration at a time holds. */
const MIGRATION_LOCK = 7_140_318_229;
const INT8 = 20;

type Pool = postgres.Sql;
type Runner = Pick<Pool, 'unsafe'>;

export class PostgresDatabase implements SqlDatabase {
  readonly dialect = 'postgres';
  readonly shown: string;
  readonly #address: PostgresAddress;
  readonly #times: PostgresTimes;
  #pool: Pool;
  #isClosed = false;

  /** Connects when it is first used. Throws a StoreError for an address that can't be used. */
  constructor(address: string, times: Partial<PostgresTimes> = {}) {
    this.#address = parsePostgresAddress(address);
    this.shown = this.#address.shown;
    this.#times = { ...TIMES, ...times };
    this.#pool = this.#connections();
  }

  run(text: string, parameters: readonly SqlValue[] = []): Promise<readonly SqlRow[]> {
    const { callMs } = this.#times;
    if (this.#address.isPooler) return this.#transaction(callMs, (sql) => sql.run(text, parameters));
    return this.#within(callMs, (pool) => rowsOf(pool, text, parameters));
  }

  write<Result>(_durability: Durability, work: (sql: Sql) => Promise<Result>): Promise<Result> {
    return this.#transaction(this.#times.callMs, work);
  }

  migrate<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result> {
    return this.#transaction(MIGRATION_MS, async (sql) => {
      await sql.run(`SET LOCAL statement_timeout = ${MIGRATION_MS}`);
      await sql.run(`SELECT CAST(pg_advisory_xact_lock(${MIGRATION_LOCK}) AS TEXT)`);
      return work(sql);
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#pool.end({ timeout: 1 });
  }

  #transaction<Result>(withinMs: Milliseconds, work: (sql: Sql) => Promise<Result>): Promise<Result> {
    return this.#within(withinMs, async (pool) => {
      const result = await pool.begin(async (transaction) => {
        if (this.#address.isPooler) await transaction.unsafe(localSettings(this.#settings));
        // The driver takes a list for a list of promises.
        return {
          value: await work({ run: (text, parameters = []) => rowsOf(transaction, text, parameters) }),
        };
      });
      return result.value as Result;
    });
  }

  async #within<Result>(limitMs: Milliseconds, call: (pool: Pool) => Promise<Result>): Promise<Result> {
    if (this.#isClosed) throw new StoreError('unavailable', `${this.shown} is closed.`);
    const pool = this.#pool;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.#giveUp(pool);
        reject(tooLate(this.shown));
      }, limitMs);
    });
    try {
      return await Promise.race([call(pool), late]);
    } catch (error) {
      throw postgresFault(error, this.shown);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Its connections may all be stuck. */
  #giveUp(pool: Pool): void {
    if (this.#pool !== pool || this.#isClosed) return;
    this.#pool = this.#connections();
    void pool.end({ timeout: 0 }).catch(() => {});
  }

  get #settings(): Readonly<Record<string, string>> & { readonly application_name: string } {
    const { statementMs, callMs } = this.#times;
    return {
      application_name: 'llm-serve',
      statement_timeout: String(statementMs),
      lock_timeout: String(statementMs),
      // Longer than a call, which ends it first.
      idle_in_transaction_session_timeout: String(2 * callMs),
      ...this.#address.session,
    };
  }

  #connections(): Pool {
    const {
      hosts,
      ports,
      socket,
      user,
      password,
      database,
      ssl,
      sessionAttributes,
      connectTimeoutSeconds,
      isPooler,
    } = this.#address;
    const { callMs } = this.#times;
    const { application_name, ...settings } = this.#settings;
    const place =
      socket === undefined ? { host: [...hosts], port: [...ports] } : { path: socket, host: 'localhost' };
    const options: postgres.Options<{ bigint: postgres.PostgresType<number> }> = {
      // Lists, which its types leave out.
      ...(place as object),
      ...(user !== undefined && { user }),
      ...(password !== undefined && { password }),
      ...(database !== undefined && { database }),
      ...(sessionAttributes !== undefined && { target_session_attrs: sessionAttributes as 'read-write' }),
      ssl,
      max: CONNECTIONS,
      idle_timeout: IDLE_SECONDS,
      connect_timeout: Math.max(1, Math.min(callMs / 1000 - 1, connectTimeoutSeconds ?? Infinity)),
      // A call that fails is not tried again here, so there is nothing to slow down.
      backoff: () => 0,
      // Those with names are of a session.
      prepare: !isPooler,
      fetch_types: false,
      onnotice: () => {},
      types: { bigint: { to: INT8, from: [INT8], parse: Number, serialize: String } },
      // Poolers refuse those that they do not know.
      connection: { application_name, ...(!isPooler && settings) },
    };
    return postgres(options) as unknown as Pool;
  }
}

async function rowsOf(
  runner: Runner,
  text: string,
  parameters: readonly SqlValue[],
): Promise<readonly SqlRow[]> {
  const values = parameters.map((value) => (typeof value === 'string' ? storableText(value) : value));
  return runner.unsafe<SqlRow[]>(numbered(text), values, { prepare: true });
}

/** One statement that gives a transaction its settings. */
function localSettings(settings: Readonly<Record<string, string>>): string {
  const calls = Object.entries(settings).map(([name, value]) => {
    // The default counts from the next transaction on.
    const own = name === 'default_transaction_read_only' ? 'transaction_read_only' : name;
    return `set_config('${own}', '${value.replaceAll("'", "''")}', true)`;
  });
  return `SELECT ${calls.join(', ')}`;
}

const NUMBERED = new Map<string, string>();

/** `?` as `$1`, `$2`, …; our texts have no other question mark. */
function numbered(text: string): string {
  const known = NUMBERED.get(text);
  if (known !== undefined) return known;
  let count = 0;
  const result = text.replaceAll('?', () => {
    count += 1;
    return `$${count}`;
  });
  NUMBERED.set(text, result);
  return result;
}
