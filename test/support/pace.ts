/**
 * Limits for tests that hold how soon something happens, on machines that are busy with other things: computing is
 * measured by the processor time that it took, and what is asked over HTTP beside the pace of the machine.
 */
import { ask } from './http-client.ts';

/** Processor time of this process so far. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const ROUND_TRIPS = 5;
/** Of a round trip on a machine that does nothing else. */
const QUIET_MS = 4;

/** `limitMs`, longer in proportion where a plain request to this server takes longer than on a quiet machine. */
export async function atThisPace(server: { readonly url: string }, limitMs: number): Promise<number> {
  const tookMs: number[] = [];
  for (let trip = 0; trip < ROUND_TRIPS; trip += 1) {
    const startedAt = performance.now();
    await ask(`${server.url}/health`);
    tookMs.push(performance.now() - startedAt);
  }
  return limitMs * Math.max(1, Math.max(...tookMs) / QUIET_MS);
}
