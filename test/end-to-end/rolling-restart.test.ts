/** Two instances are replaced one after the other while clients that keep their connections go on asking: none of them notices. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Executable, startExecutable } from '../support/executable.ts';
import { KeptConnections } from '../support/kept-connections.ts';
import { BALANCER_IDS, missingBalancer } from '../support/proxy.ts';
import { rollingRestart } from '../support/rolling-restart.ts';
import { scriptedFlags } from '../support/scripted-server.ts';
import { TcpBalancer } from '../support/tcp-balancer.ts';

const CLIENTS = 16;
const REQUESTS = 600;
const DELAY_SECONDS = 5;

test('new instances beside the old ones: no request fails on a kept connection', async () => {
  const balancer = await TcpBalancer.listen(onTestFinished);
  const flags = [...scriptedFlags(), '--server.shutdown-delay-seconds', String(DELAY_SECONDS)];
  const start = async () => {
    const server = await startExecutable({ flags, endsWith: onTestFinished });
    balancer.add(server.port);
    await expect.poll(() => balancer.isReady(server.port), { timeout: 120_000 }).toBe(true);
    return server;
  };
  let instances = [await start(), await start()];
  const load = new KeptConnections(balancer.port);
  onTestFinished(() => load.close());
  const clients = Array.from({ length: CLIENTS }, (_, client) => load.run(client));

  const replace = async (old: Executable) => {
    const fresh = await start();
    await load.afterMore(REQUESTS / 10);
    expect((await old.stop()).exitCode).toBe(0);
    balancer.remove(old.port);
    return fresh;
  };
  const first = await replace(instances[0] as Executable);
  const second = await replace(instances[1] as Executable);
  instances = [first, second];
  await load.reached(REQUESTS);
  load.stop();
  await Promise.all(clients);
  expect(load.failures).toEqual([]);
});

describe('instances restarted in their place', () => {
  for (const balancer of BALANCER_IDS)
    test(`no request fails behind ${balancer}`, async (context) => {
      const missing = missingBalancer(balancer);
      if (missing !== undefined) context.skip(missing);
      const { failures, exitCodes } = await rollingRestart({
        ...{ balancer, clients: CLIENTS, requests: 400, rounds: 1 },
      });
      expect(failures).toEqual([]);
      expect(exitCodes).toEqual([0, 0]);
    });
});
