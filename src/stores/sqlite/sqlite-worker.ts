/** The thread that has the SQLite file open. */
import { workerData } from 'node:worker_threads';
import { ONE_LANE, serveStore } from '../serve-store.ts';
import { SqlStore } from '../sql/sql-store.ts';
import { SqliteDatabase, type SqliteOptions } from './sqlite-database.ts';

const options = workerData as SqliteOptions;

serveStore(async (mayCreate) => {
  const database = SqliteDatabase.open(options, mayCreate);
  return options.access === 'read'
    ? SqlStore.read(database, options.path)
    : SqlStore.prepare(database, options.path, mayCreate);
}, ONE_LANE);
