// A bare server that nobody attacks, asked by the same client at the same time: what it loses in an attack, the machine has lost, which
// the attackers, the client and both servers share.
import { createServer } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { serveOrders } from '../worker.mjs';

/** As the server's own metrics measure it. */
const RESOLUTION_MS = 20;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();

const server = createServer((request, response) => {
  request.resume().once('end', () => {
    response.setHeader('content-type', 'application/json');
    response.end('{"text":"Paris is the capital."}');
  });
});
server.listen(0, '127.0.0.1', () =>
  serveOrders({ port: server.address().port }, async () => {
    const longestMs = Math.max(0, delay.max / 1e6 - RESOLUTION_MS);
    delay.reset();
    return { longestMs };
  }),
);
