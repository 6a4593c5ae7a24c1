/** The figure of docs/how-to/restart-without-a-failed-request.md: failed requests of 2,000 while both instances are restarted, twice. */
import { expect, test } from 'vitest';
import { BALANCER_IDS, missingBalancer } from '../support/proxy.ts';
import { rollingRestart } from '../support/rolling-restart.ts';

for (const balancer of BALANCER_IDS)
  test(`0 of 2,000 requests fail behind ${balancer}`, async (context) => {
    const missing = missingBalancer(balancer);
    if (missing !== undefined) context.skip(missing);
    const { failures, answered, long, exitCodes } = await rollingRestart({
      ...{ balancer, clients: 32, requests: 2000, rounds: 2 },
    });
    process.stdout.write(`${balancer}: ${failures.length} of ${answered} failed, ${long} of them long\n`);
    expect(failures).toEqual([]);
    expect(exitCodes).toEqual([0, 0, 0, 0]);
  });
