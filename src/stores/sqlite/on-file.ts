/** What commands do with the SQLite file as a whole, on a thread of its own. Reject with StoreErrors. */
import { Worker } from 'node:worker_threads';
import { builtEntry } from '../../core/built-entry.ts';
import { StoreError, type StoreFault } from '../store.ts';
import type { FileFacts, RestoredFile, RestoreOptions } from './sqlite-files.ts';

export type FileCall =
  | { readonly name: 'inspect'; readonly path: string }
  | { readonly name: 'backUp'; readonly path: string; readonly to: string }
  | ({ readonly name: 'restore'; readonly path: string; readonly from: string } & RestoreOptions);

export type FileAnswer =
  | { readonly result: unknown }
  | { readonly fault: StoreFault; readonly message: string };

export function inspect(path: string): Promise<FileFacts> {
  return perform({ name: 'inspect', path });
}

/** A copy as of this moment, while others use the file. `to` must not be there. */
export function backUp(path: string, to: string): Promise<FileFacts> {
  return perform({ name: 'backUp', path, to });
}

export function restore(from: string, path: string, options: RestoreOptions): Promise<RestoredFile> {
  return perform({ name: 'restore', path, from, ...options });
}

async function perform<Result>(call: FileCall): Promise<Result> {
  const worker = new Worker(builtEntry('./sqlite-files-worker.js', import.meta.url), {
    workerData: call,
    env: {},
    execArgv: [],
  });
  try {
    const answer = await new Promise<FileAnswer>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    if ('fault' in answer) throw new StoreError(answer.fault, answer.message);
    return answer.result as Result;
  } finally {
    await worker.terminate();
  }
}
