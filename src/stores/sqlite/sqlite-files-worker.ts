/** The thread of one call of sqlite-files.ts. Its end lets go of the file: a closed database keeps it while statements are remembered. */
import { parentPort, workerData } from 'node:worker_threads';
import { StoreError } from '../store.ts';
import type { FileAnswer, FileCall } from './on-file.ts';
import { backUpFile, inspectFile, restoreFile } from './sqlite-files.ts';

function perform(call: FileCall): unknown {
  switch (call.name) {
    case 'inspect':
      return inspectFile(call.path);
    case 'backUp':
      return backUpFile(call.path, call.to);
    case 'restore':
      return restoreFile(call.from, call.path, call);
  }
}

function answer(call: FileCall): FileAnswer {
  try {
    return { result: perform(call) };
  } catch (error) {
    if (error instanceof StoreError) return { fault: error.fault, message: error.message };
    throw error;
  }
}

parentPort?.postMessage(answer(workerData as FileCall));
