/**
 * A TCP proxy whose open connections can go silent: they stay open, and nothing passes them any more, as when a machine or a network is
 * gone without a word. Connections that come later pass. Owns its port.
 */
import { connect, createServer, type Socket } from 'node:net';
import type { EndsWith } from './server.ts';

export interface SwallowingProxy {
  readonly port: number;
  /** How many connections were made to it. */
  connections(): number;
  /** From now on nothing passes those that are open. */
  swallow(): void;
}

export async function startSwallowingProxy(toPort: number, endsWith: EndsWith): Promise<SwallowingProxy> {
  const sockets = new Set<Socket>();
  const passing = new Set<{ isSilent: boolean }>();
  let connections = 0;
  const server = createServer((client) => {
    connections += 1;
    const target = connect(toPort, '127.0.0.1');
    const pair = { isSilent: false };
    passing.add(pair);
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes) => {
        if (!pair.isSilent) to.write(bytes);
      });
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endsWith(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    port: (server.address() as { port: number }).port,
    connections: () => connections,
    swallow: () => {
      for (const pair of passing) pair.isSilent = true;
    },
  };
}
