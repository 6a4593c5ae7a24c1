/** The reverse proxies of deploy/proxies in front of the server: pace of tokens, clients that leave, whose address counts. */
import { request } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { metric } from '../support/http-client.ts';
import { missingProxy, PROXY_IDS, serverFlagsOf, startProxy } from '../support/proxy.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';

const endsWith = endingAfterAll();
const TOKENS = 12;
const PACE_MS = 120;
/** Where tokens come in pairs, every other gap is none. */
const SPACED = 8;
/** On a busy machine two tokens may be read at once though each was sent alone: that is none of the proxy’s doing. */
const TRIES = 20;

for (const id of PROXY_IDS)
  describe(`${id} in front`, () => {
    let running: Promise<{ readonly server: RunningServer; readonly port: number }> | undefined;
    const start = () => {
      running ??= (async () => {
        const trusted = ['--server.trusted-proxies', '["127.0.0.1/32"]'];
        const flags = [...scriptedFlags(), ...trusted, ...serverFlagsOf(id)];
        const server = await startServer({ flags, endsWith });
        return { server, port: await startProxy(id, server.port, endsWith) };
      })();
      return running;
    };
    const missing = missingProxy(id);

    test('tokens come one by one, in time', async (context) => {
      if (missing !== undefined) context.skip(missing);
      const { port } = await start();
      let best: readonly number[] = [];
      for (let tried = 0; tried < TRIES && spaced(best) < SPACED; tried += 1) {
        const gaps = await gapsOf(port, { tokens: TOKENS, token_delay_ms: PACE_MS });
        if (spaced(gaps) > spaced(best)) best = gaps;
      }
      expect(spaced(best), `milliseconds between tokens: ${best.join(' ')}`).toBeGreaterThanOrEqual(SPACED);
    });

    test('a client that leaves is seen to leave', async (context) => {
      if (missing !== undefined) context.skip(missing);
      const { server, port } = await start();
      const before = await metric(server, 'llm_serve_cancelled_total');
      const leaving = ask(port, { fail: 'hang-mid-stream', fail_after_tokens: 3 });
      await new Promise((resolve) => leaving.once('response', (answer) => answer.once('data', resolve)));
      leaving.destroy();
      await expect.poll(() => metric(server, 'llm_serve_cancelled_total')).toBe(before + 1);
      await expect.poll(() => metric(server, 'llm_serve_slots_used')).toBe(0);
    });

    test('the address of the client counts, not one that it names', async (context) => {
      if (missing !== undefined) context.skip(missing);
      const { server, port } = await start();
      const asked = ask(port, { tokens: 1 }, { path: '/generate', forwardedFor: '203.0.113.7' });
      await new Promise((resolve) =>
        asked.once('response', (answer) => answer.resume().once('end', resolve)),
      );
      const line = await server.logged(({ msg, path }) => msg === 'request' && path === '/generate');
      expect(line).toMatchObject({ status: 200, clientAddress: '127.0.0.2' });
    });

    test('a client is no program of the server’s machine', async (context) => {
      if (missing !== undefined) context.skip(missing);
      const { port } = await start();
      const asked = ask(port, {}, { path: '/admin/reload' });
      const status = await new Promise((resolve) =>
        asked.once('response', (answer) => resolve(answer.resume().statusCode)),
      );
      expect(status).toBe(403);
    });
  });

/** From another loopback address than the proxy’s own. */
function ask(
  port: number,
  script: Readonly<Record<string, unknown>>,
  { path = '/stream', forwardedFor }: { readonly path?: string; readonly forwardedFor?: string } = {},
) {
  const asking = request({
    ...{ host: '127.0.0.1', port, path, method: 'POST', localAddress: '127.0.0.2' },
    headers: {
      'content-type': 'application/json',
      ...(forwardedFor !== undefined && { 'x-forwarded-for': forwardedFor }),
    },
  });
  asking.on('error', () => {});
  asking.end(JSON.stringify({ prompt: scripted(script) }));
  onTestFinished(() => {
    asking.destroy();
  });
  return asking;
}

/** Milliseconds between each token and the one before it. */
function gapsOf(port: number, script: Readonly<Record<string, unknown>>): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    const times: number[] = [];
    ask(port, script)
      .once('error', reject)
      .once('response', (answer) => {
        answer.setEncoding('utf8').on('data', (text: string) => {
          for (const _token of text.matchAll(/"token"/g)) times.push(performance.now());
        });
        answer.once('end', () =>
          resolve(times.slice(1).map((time, index) => Math.round(time - (times[index] ?? 0)))),
        );
      });
  });
}

function spaced(gaps: readonly number[]): number {
  return gaps.filter((gap) => gap > PACE_MS / 2).length;
}
