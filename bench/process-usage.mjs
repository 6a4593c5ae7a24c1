// What a process has used, by Linux's accounting. Processor time is counted in ticks of 10 ms: measure a second or more.
import { readFileSync } from 'node:fs';

const MICROSECONDS_PER_TICK = 10_000;
const PAGE_BYTES = 4096;

/** Of all its threads, in microseconds: `user` and `system` since it was started. */
export function cpuOf(pid) {
  // The name of the program, in brackets, may have spaces in it.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  const [user, system] = fields.slice(11, 13).map((ticks) => Number(ticks) * MICROSECONDS_PER_TICK);
  return { user, system };
}

/** Microseconds that the process used in the time of `work`, for each of `units` of it. */
export async function cpuPerUnit({ pid, units }, work) {
  const before = cpuOf(pid);
  const result = await work();
  const after = cpuOf(pid);
  const user = (after.user - before.user) / units;
  const system = (after.system - before.system) / units;
  return { result, cpu: { user, system, total: user + system } };
}

export function residentBytes(pid) {
  return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES;
}
