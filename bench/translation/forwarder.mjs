// The bound: a gateway that forwards bytes and reads none of them. Node's own HTTP server, the same HTTP client as ours.
import { createServer } from 'node:http';
import { Pool } from 'undici';
import { serveOrders } from '../worker.mjs';

const pool = new Pool(process.argv[2]);

const server = createServer({ noDelay: true }, (request, response) => {
  pool.dispatch(
    { method: 'POST', path: '/v1/chat/completions', headers: request.headers, body: request },
    {
      onRequestStart() {},
      onResponseStart(_controller, status, headers) {
        response.writeHead(status, { 'content-type': headers['content-type'] });
      },
      onResponseData(controller, chunk) {
        if (response.write(chunk)) return;
        controller.pause();
        response.once('drain', () => controller.resume());
      },
      onResponseEnd: () => response.end(),
      onResponseError: () => response.destroy(),
    },
  );
});

server.listen(0, '127.0.0.1', () => serveOrders({ port: server.address().port }));
