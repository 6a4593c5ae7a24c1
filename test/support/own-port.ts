/**
 * A port of one's own: whoever closes it finds it closed, and free to listen on again. A port that the system chose is
 * chosen for somebody else as soon as it is closed. These lie below those that the system chooses from, for servers and for
 * connections alike, and a UDP socket on the same number, which needs no order at its end, keeps other tests away from it.
 */
import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { EndsWith } from './server.ts';

const LOWEST = 10_000;
/** A node of a Valkey cluster listens at its port + 10,000 as well, which is below them too. */
const COUNT = 10_000;
const TRIES = 100;

export interface OwnPort {
  readonly port: number;
  /** Others may have it. */
  release(): void;
}

export async function claimPort(): Promise<OwnPort> {
  for (let tried = 0; tried < TRIES; tried += 1) {
    const port = LOWEST + randomInt(COUNT);
    const claim = await claimed(port);
    if (claim === undefined) continue;
    if (await isFree(port)) return { port, release: () => void claim.close() };
    claim.close();
  }
  throw new Error(`none of ${TRIES} ports is free`);
}

/** Until the test ends. */
export async function ownPort(endsWith: EndsWith): Promise<number> {
  const { port, release } = await claimPort();
  endsWith(async () => release());
  return port;
}

async function claimed(port: number): Promise<Socket | undefined> {
  const claim = createSocket('udp4').unref();
  try {
    claim.bind({ port, address: '127.0.0.1', exclusive: true });
    await once(claim, 'listening');
    return claim;
  } catch {
    claim.close();
    return undefined;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ port, host: '127.0.0.1', exclusive: true });
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
