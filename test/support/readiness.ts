/** Waiting for a started server to be able to answer; also inside `beforeAll`. */
import { vi } from 'vitest';
import { ask } from './http-client.ts';

/** Ends one that waits in vain: a model that is loaded beside other work may take a minute. */
const READY_WITHIN_MS = 150_000;

export async function isReady(server: { readonly url: string }): Promise<boolean> {
  return (await ask(`${server.url}/ready`)).status === 200;
}

export function whenReady(server: { readonly url: string }): Promise<void> {
  return vi.waitFor(
    async () => {
      if (!(await isReady(server))) throw new Error('the server is not ready');
    },
    { timeout: READY_WITHIN_MS, interval: 50 },
  );
}
