/** Questions that each worker of a server is asked: those that are busy with one connection get no other one while a worker has fewer. */
import { Agent, type OutgoingHttpHeaders, request } from 'node:http';
import { expect } from 'vitest';
import type { RunningServer } from './server.ts';
import { TEST_WORKERS } from './server.ts';

/** Enough for each worker, also where some have a few connections more than others. */
const CONNECTIONS = TEST_WORKERS === 1 ? 1 : 4 * TEST_WORKERS;

/** Resolves when every process of the server gives a request that status: what was changed in a store is known to all of them. */
export function whenEachAnswers(
  server: Pick<RunningServer, 'url'>,
  path: string,
  status: number,
  { headers = {} }: { readonly headers?: OutgoingHttpHeaders } = {},
): Promise<void> {
  return expect
    .poll(() => statusesOfAll(`${server.url}${path}`, headers))
    .toEqual(Array.from({ length: CONNECTIONS }, () => status));
}

/** All connections stay open until each has its answer. */
async function statusesOfAll(
  url: string,
  headers: OutgoingHttpHeaders,
): Promise<readonly (number | undefined)[]> {
  const agent = new Agent({ keepAlive: true });
  try {
    return await Promise.all(Array.from({ length: CONNECTIONS }, () => statusOf(url, { agent, headers })));
  } finally {
    agent.destroy();
  }
}

function statusOf(
  url: string,
  options: { readonly agent: Agent; readonly headers: OutgoingHttpHeaders },
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asking = request(url, options, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode));
    });
    asking.once('error', reject);
    asking.end();
  });
}
