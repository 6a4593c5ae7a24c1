/** What a process has used so far, as Linux tells it in /proc; undefined elsewhere. */
import { existsSync, readFileSync } from 'node:fs';

/** Of the kernel's clock ticks, of which there are a hundred in a second on every platform of Node's. */
const TICK_MS = 10;

/** Time on a processor, which a loaded machine does not change as it changes the time that passes. */
export function processorMs(pid: number): number | undefined {
  return processorMsOf(pid, 'stat');
}

/** The same of its first thread alone, on which Node has its event loop. */
export function eventLoopMs(pid: number): number | undefined {
  return processorMsOf(pid, `task/${pid}/stat`);
}

function processorMsOf(pid: number, file: string): number | undefined {
  const fields = procFile(pid, file)?.split(') ')[1]?.split(' ');
  return fields && (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

export function residentBytes(pid: number): number | undefined {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(procFile(pid, 'status') ?? '')?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

function procFile(pid: number, name: string): string | undefined {
  const path = `/proc/${pid}/${name}`;
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}
