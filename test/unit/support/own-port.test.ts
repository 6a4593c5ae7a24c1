/** Ports of one's own, against others who choose at the same time. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { claimPort, ownPort } from '../../support/own-port.ts';

it('none is given to two, though many are claimed at once', async () => {
  // Of 10,000 ports chosen by chance, two of 300 would be the same 99 times of 100.
  const claimed = await Promise.all(Array.from({ length: 300 }, claimPort));
  onTestFinished(() => {
    for (const { release } of claimed) release();
  });
  expect(new Set(claimed.map(({ port }) => port)).size).toBe(300);
});

it('can be listened on, closed, and listened on again', async () => {
  const port = await ownPort(onTestFinished);
  for (let time = 0; time < 2; time += 1) {
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
  }
});
