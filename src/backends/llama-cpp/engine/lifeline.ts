/**
 * Ties this process to its parent's life, also while its own event loop is stuck in native code: a thread of its own
 * waits for the end of standard input, which is a pipe from the parent. The thread sleeps in the kernel until then.
 */
import { fstatSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

const STANDARD_INPUT = 0;
/** It runs a dozen lines. */
const MEMORY = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 };

/** Does nothing where standard input is no pipe: then nobody started this process to supervise it. */
export function tieToParent(warn: (message: string) => void): void {
  const input = fstatSync(STANDARD_INPUT);
  if (!input.isFIFO() && !input.isSocket()) return;
  const thread = new Worker(new URL('./lifeline-thread.js', import.meta.url), { resourceLimits: MEMORY });
  thread.unref();
  thread.on('error', (error) =>
    warn(
      `The thread that watches for the parent’s end failed: ${error.message}. The channel to it is still watched.`,
    ),
  );
}
