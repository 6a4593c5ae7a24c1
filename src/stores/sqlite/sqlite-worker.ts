/** The thread that has the SQLite file open. */
import { workerData } from 'node:worker_threads';
import { ONE_LANE, serveStore } from '../serve-store.ts';
import { SqlStore } from '../sql/sql-store.ts';
import { SqliteDatabase, type SqliteOptions } from './sqlite-database.ts';

const options = workerData as SqliteOptions;

serveStore(async () => {
  const database = SqliteDatabase.open(options);
  return options.access === 'read'
    ? SqlStore.read(database, options.path)
    : SqlStore.prepare(database, options.path);
}, ONE_LANE);
