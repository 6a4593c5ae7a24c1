/** The thread that has the SQLite file open. It makes the calls of sqlite-store.ts, one after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { SqlStore } from '../sql/sql-store.ts';
import { StoreError } from '../store.ts';
import { SqliteDatabase } from './sqlite-database.ts';
import type { SqliteAnswer, SqliteCall, SqliteStart } from './sqlite-store.ts';

const { path, busyMs } = workerData as SqliteStart;

let opened: SqlStore | undefined;

async function open(): Promise<void> {
  opened = await SqlStore.prepare(SqliteDatabase.open({ path, busyMs }), path);
}

function store(): SqlStore {
  if (opened === undefined) throw new StoreError('unavailable', `${path} is not open.`);
  return opened;
}

async function perform(call: SqliteCall): Promise<unknown> {
  switch (call.name) {
    case 'open':
      return open();
    case 'keys.revision':
      return store().keys.revision();
    case 'keys.list':
      return store().keys.list();
    case 'keys.add':
      return store().keys.add(call.record);
    case 'keys.change':
      return store().keys.change(call.id, call.changes);
    case 'usage.add':
      return store().usage.addTexts(call.texts, call.batch);
    case 'usage.report':
      return store().usage.report(call.query);
    case 'audit.add':
      return store().audit.add(call.entry);
    case 'audit.list':
      return store().audit.list(call.options);
    case 'close':
      return opened?.close();
  }
}

async function answer(id: number, call: SqliteCall): Promise<SqliteAnswer> {
  try {
    return { id, result: await perform(call) };
  } catch (error) {
    if (error instanceof StoreError) return { id, fault: error.fault, message: error.message };
    return {
      id,
      fault: undefined,
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
}

let last: Promise<void> = Promise.resolve();

parentPort?.on('message', ({ id, call }: { readonly id: number; readonly call: SqliteCall }) => {
  last = last.then(async () => parentPort?.postMessage(await answer(id, call)));
});
