/** How soon something may be asked to happen over HTTP on a machine that is busy with other things. */
import { ask } from './http-client.ts';

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
