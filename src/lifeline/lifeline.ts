/**
 * Ends this process with its parent, even while its own event loop is blocked in native code: a thread waits for the end
 * of standard input, which is a pipe from the parent. The thread sleeps in the kernel until then. Its entry is a file of
 * its own, lifeline-thread.ts, because a thread has to load one.
 */
import { fstatSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

const STANDARD_INPUT = 0;
/** For a dozen lines of code. */
const MEMORY = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 };

export interface Lifeline {
  /** The process listens there: the socket is removed when the parent is gone. */
  listensAt(address: string): void;
}

/** Does nothing if standard input is no pipe: then the process was not started by a supervisor. */
export function tieToParent(warn: (message: string) => void): Lifeline {
  const input = fstatSync(STANDARD_INPUT);
  if (!input.isFIFO() && !input.isSocket()) return { listensAt() {} };
  const thread = new Worker(new URL('./lifeline-thread.js', import.meta.url), { resourceLimits: MEMORY });
  thread.unref();
  thread.on('error', (error) =>
    warn(
      `The thread that watches for the parent’s end failed: ${error.message}. The channel to it is still watched.`,
    ),
  );
  return { listensAt: (address) => thread.postMessage(address) };
}
