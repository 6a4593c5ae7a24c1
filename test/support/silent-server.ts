/** A server that takes connections and answers nothing. Owns its port. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { EndsWith } from './server.ts';

/** `connected`: somebody has come, for the first time. */
export async function startSilentServer(
  endsWith: EndsWith,
): Promise<{ readonly port: number; readonly connected: Promise<void> }> {
  const sockets = new Set<Socket>();
  let onConnected = () => {};
  const connected = new Promise<void>((resolve) => {
    onConnected = resolve;
  });
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}).resume());
    onConnected();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endsWith(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return { port: (server.address() as AddressInfo).port, connected };
}
