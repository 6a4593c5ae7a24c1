// Source addresses, so that the server tells the clients of one machine apart: 127.0.0.2 and on. Linux takes any of
// 127.0.0.0/8 as its own; other systems only those that were set up.
import { once } from 'node:events';
import { createServer } from 'node:net';

/** From the names of clients, in their order; undefined where the system has no such addresses. */
export async function clientAddresses(names) {
  if (!(await hasLoopbackAddress('127.0.0.2'))) return undefined;
  return Object.fromEntries(names.map((name, index) => [name, `127.0.0.${index + 2}`]));
}

async function hasLoopbackAddress(host) {
  const server = createServer();
  try {
    server.listen({ host, port: 0 });
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
