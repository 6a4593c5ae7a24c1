/** The thread's end of threaded-store.ts: makes its calls, those of a lane one after the other. */
import { parentPort } from 'node:worker_threads';
import type { SqlStore } from './sql/sql-store.ts';
import { StoreError } from './store.ts';
import type { StoreAnswer, StoreCall } from './threaded-store.ts';

/** A connection that takes one call at a time. */
export const ONE_LANE = (): string => 'all';

/** One for each connection: readings of much may take seconds, and wait for nobody's locks; changes and usage wait for those of others. */
export function laneOfConnection({ name }: StoreCall): string {
  switch (name) {
    case 'keys.list':
    case 'keys.page':
    case 'keys.namesOf':
    case 'usage.report':
    case 'audit.list':
      return 'readings';
    case 'keys.add':
    case 'keys.change':
    case 'audit.add':
      return 'changes';
    case 'usage.add':
      return 'usage';
    default:
      return 'keys';
  }
}

/** `open`: the first call, which all others wait for. `close` waits for all others. */
export function serveStore(
  open: (mayCreate: boolean) => Promise<SqlStore>,
  laneOf: (call: StoreCall) => string,
): void {
  let opened: SqlStore | undefined;
  let opening: Promise<unknown> = Promise.resolve();
  /** The last call of each. */
  const lanes = new Map<string, Promise<unknown>>();
  const perform = async (call: StoreCall): Promise<unknown> => {
    if (call.name === 'open') {
      opened = await open(call.mayCreate);
      return undefined;
    }
    if (opened === undefined) throw new StoreError('unavailable', 'The database is not open.');
    return performOn(opened, call);
  };
  parentPort?.on('message', ({ id, call }: { readonly id: number; readonly call: StoreCall }) => {
    const answer = async () => parentPort?.postMessage(await answerOf(id, call, () => perform(call)));
    if (call.name === 'open') opening = answer();
    else if (call.name === 'close') void Promise.all([opening, ...lanes.values()]).then(answer);
    else lanes.set(laneOf(call), (lanes.get(laneOf(call)) ?? opening).then(answer));
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
    case 'keys.page':
      return store.keys.page(call.query);
    case 'keys.namesOf':
      return store.keys.namesOf(call.ids);
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

async function answerOf(
  id: number,
  { name }: StoreCall,
  perform: () => Promise<unknown>,
): Promise<StoreAnswer> {
  try {
    const result = await perform();
    return name === 'keys.readAll' ? { id, text: JSON.stringify(result) } : { id, result };
  } catch (error) {
    if (error instanceof StoreError) return { id, fault: error.fault, message: error.message };
    return {
      id,
      fault: undefined,
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
}
