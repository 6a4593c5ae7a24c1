/** The end of a process whose parent is gone: nobody else cleans up behind it. */
import { rmdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';

/** `address`: of the socket that it listens at, in a folder for such sockets alone; the last one removes that too. */
export function endWithParent(address: string | undefined): void {
  try {
    if (address !== undefined && process.platform !== 'win32') {
      rmSync(address, { force: true });
      rmdirSync(dirname(address));
    }
  } catch {
    // Another process's socket is still in it, or that one has removed it.
  }
  // A step under way in native code would delay a normal exit.
  process.kill(process.pid, 'SIGKILL');
}
