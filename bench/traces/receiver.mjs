// Takes every export of spans and answers at once, as a receiver beside the server would; reads nothing of it.
import { createServer } from 'node:http';
import { serveOrders } from '../worker.mjs';

const server = createServer((request, response) => {
  request
    .resume()
    .on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
});
server.listen(0, '127.0.0.1', () => serveOrders({ port: server.address().port }));
