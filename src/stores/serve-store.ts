/** The thread's end of threaded-store.ts: makes its calls, one after the other. */
import { parentPort } from 'node:worker_threads';
import type { SqlStore } from './sql/sql-store.ts';
import { StoreError } from './store.ts';
import type { StoreAnswer, StoreCall } from './threaded-store.ts';

/** `open`: the first call. */
export function serveStore(open: () => Promise<SqlStore>): void {
  let opened: SqlStore | undefined;
  let last: Promise<void> = Promise.resolve();
  const perform = async (call: StoreCall): Promise<unknown> => {
    if (call.name === 'open') {
      opened = await open();
      return undefined;
    }
    if (opened === undefined) throw new StoreError('unavailable', 'The database is not open.');
    return performOn(opened, call);
  };
  parentPort?.on('message', ({ id, call }: { readonly id: number; readonly call: StoreCall }) => {
    last = last.then(async () => parentPort?.postMessage(await answerOf(id, () => perform(call))));
  });
}

async function performOn(store: SqlStore, call: StoreCall): Promise<unknown> {
  switch (call.name) {
    case 'open':
      return undefined;
    case 'keys.revision':
      return store.keys.revision();
    case 'keys.list':
      return store.keys.list();
    case 'keys.named':
      return store.keys.named(call.idOrName);
    case 'keys.readAll':
      return store.keys.readAll();
    case 'keys.changedSince':
      return store.keys.changedSince(call.revision);
    case 'keys.add':
      return store.keys.add(call.record);
    case 'keys.change':
      return store.keys.change(call.known, call.changes);
    case 'usage.add':
      return store.usage.addTexts(call.texts, call.batch);
    case 'usage.report':
      return store.usage.report(call.query);
    case 'audit.add':
      return store.audit.add(call.entry);
    case 'audit.list':
      return store.audit.list(call.options);
    case 'close':
      return store.close();
  }
}

async function answerOf(id: number, perform: () => Promise<unknown>): Promise<StoreAnswer> {
  try {
    return { id, result: await perform() };
  } catch (error) {
    if (error instanceof StoreError) return { id, fault: error.fault, message: error.message };
    return {
      id,
      fault: undefined,
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
}
