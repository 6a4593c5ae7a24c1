/** The thread that has the PostgreSQL database open: the driver throws in a turn of its own where a connection ends while it writes. */
import { workerData } from 'node:worker_threads';
import { laneOfConnection, serveStore } from '../serve-store.ts';
import { SqlStore } from '../sql/sql-store.ts';
import { PostgresDatabase, type PostgresOptions } from './postgres-database.ts';

const { address, times, access } = workerData as PostgresOptions;

serveStore((mayCreate) => {
  const database = new PostgresDatabase(address, times);
  return access === 'read'
    ? SqlStore.read(database, database.shown)
    : SqlStore.prepare(database, database.shown, mayCreate);
}, laneOfConnection);
