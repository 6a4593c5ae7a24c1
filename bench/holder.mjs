// A client, in a process of its own, that opens streams and keeps them open: as many as it is told, a few at a time.
import { connect } from 'node:net';
import { serveOrders } from './worker.mjs';

const OPENING_AT_ONCE = 16;
const held = [];

serveOrders({}, hold);

/** Resolves when `count` more streams have `text` in them; `count` 0 lets go of all. Without `text`: when they are asked for. */
async function hold({ url, path, body, count, text }) {
  if (count === 0) for (const socket of held.splice(0)) socket.destroy();
  let left = count;
  const openSome = async () => {
    while (left-- > 0) await openOne({ url: new URL(url), path, body, text });
  };
  await Promise.all(Array.from({ length: OPENING_AT_ONCE }, openSome));
  return { held: held.length };
}

function openOne({ url, path, body, text }) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: url.hostname, port: url.port, noDelay: true });
    let received = '';
    held.push(socket);
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`the server closed a stream after: ${received}`)));
    socket.setEncoding('latin1').on('data', (piece) => {
      received += piece;
      if (text && received.includes(text)) resolve();
    });
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: ${url.host}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      () => text || resolve(),
    );
  });
}
