// Readers of GET /live as the page has them, in a process of its own: opens and closes as many as it is told, reads what comes and
// counts it.
import { connect } from 'node:net';
import { serveOrders } from '../worker.mjs';

const EVENT = 'event: snapshot';
const sockets = [];
let bytes = 0;
let snapshots = 0;

serveOrders({}, read);

/** Resolves once there are `count` readers that have their first snapshot, with what came since the order before. */
async function read({ url, count }) {
  for (const socket of sockets.splice(count)) socket.destroy();
  while (sockets.length < count) sockets.push(await open(new URL(url)));
  const came = { bytes, snapshots };
  bytes = 0;
  snapshots = 0;
  return came;
}

function open({ hostname, port, host }) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port, noDelay: true });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the server closed the stream')));
    socket.setEncoding('latin1').on('data', (piece) => {
      bytes += piece.length;
      // An event begins with a chunk of the body, which is rarely torn there.
      snapshots += piece.split(EVENT).length - 1;
      resolve(socket);
    });
    socket.write(`GET /live HTTP/1.1\r\nhost: ${host}\r\naccept: text/event-stream\r\n\r\n`);
  });
}
