/** The thread that has the SQLite file open. */
import { workerData } from 'node:worker_threads';
import { serveStore } from '../serve-store.ts';
import { SqlStore } from '../sql/sql-store.ts';
import { SqliteDatabase, type SqliteOptions } from './sqlite-database.ts';

const options = workerData as SqliteOptions;

serveStore(async () => SqlStore.prepare(SqliteDatabase.open(options), options.path));
