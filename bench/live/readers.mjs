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
  // A stream that the server has ended costs it nothing, and would be measured as one that does.
  if (sockets.some((socket) => socket.destroyed)) throw new Error('the server ended a stream');
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
    socket.setEncoding('latin1').once('data', (piece) => {
      if (piece.startsWith('HTTP/1.1 200 ')) resolve(socket);
      else reject(new Error(`GET /live: ${piece.slice(0, piece.indexOf('\r\n'))}`));
    });
    socket.on('data', (piece) => {
      bytes += piece.length;
      // An event begins with a chunk of the body, which is rarely torn there.
      snapshots += piece.split(EVENT).length - 1;
    });
    socket.write(`GET /live HTTP/1.1\r\nhost: ${host}\r\naccept: text/event-stream\r\n\r\n`);
  });
}
