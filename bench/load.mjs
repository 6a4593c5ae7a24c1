// The client side, in a process of its own: N connections that each send the same request again as soon as it is
// answered, until so many are. On bare sockets: a full HTTP client would cost more than the servers it measures.
import { connect } from 'node:net';
import { percentile } from './statistics.mjs';
import { serveOrders } from './worker.mjs';

const HEADER_END = Buffer.from('\r\n\r\n');
const LAST_CHUNK = Buffer.from('\r\n0\r\n\r\n');
const HEAD_BYTES = 4096;
const KEPT_BYTES = 65_536;

serveOrders({}, run);

/** `requests`: over all connections together; each must be answered with `status`. */
async function run({ url, path, body, connections, requests, status = 200, headers = {} }) {
  const { hostname, port, host } = new URL(url);
  const further = Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  const sent = Buffer.from(
    `POST ${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\n${further}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  const latenciesMs = [];
  let left = requests;
  const take = () => left-- > 0;
  const answered = (ms) => latenciesMs.push(ms);
  const startedAt = performance.now();
  const sockets = Array.from({ length: connections }, () =>
    converse({ hostname, port, sent, status: String(status), take, answered }),
  );
  await Promise.all(sockets);
  return {
    requestsPerSecond: (latenciesMs.length * 1000) / (performance.now() - startedAt),
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
  };
}

/**
 * One connection, as long as there is a request to `take`. Another status than the expected one fails the run: a fast
 * error must not count as an answer.
 */
function converse({ hostname, port, sent, status, take, answered }) {
  return new Promise((resolve, reject) => {
    if (!take()) return resolve();
    const socket = connect({ host: hostname, port, noDelay: true });
    let sentAt = 0;
    let received = Buffer.alloc(0);
    const send = () => {
      sentAt = performance.now();
      socket.write(sent);
    };
    socket.on('connect', send);
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the server closed the connection')));
    socket.on('data', (chunk) => {
      // Of a long answer its head and its last bytes are enough.
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      if (received.length > KEPT_BYTES && headOf(received)?.length === undefined)
        received = Buffer.concat([received.subarray(0, HEAD_BYTES), received.subarray(-LAST_CHUNK.length)]);
      if (!isWhole(received)) return;
      const answer = received;
      received = Buffer.alloc(0);
      if (answer.latin1Slice(9, 12) !== status) {
        reject(new Error(`not a ${status}: ${answer.toString()}`));
        socket.destroy();
        return;
      }
      answered(performance.now() - sentAt);
      if (take()) return send();
      resolve();
      socket.destroy();
    });
  });
}

function headOf(answer) {
  const end = answer.indexOf(HEADER_END);
  if (end === -1) return undefined;
  const length = /content-length: *(\d+)/i.exec(answer.latin1Slice(0, end))?.[1];
  return { end, length: length === undefined ? undefined : Number(length) };
}

function isWhole(answer) {
  const head = headOf(answer);
  if (head === undefined) return false;
  if (head.length !== undefined) return answer.length >= head.end + HEADER_END.length + head.length;
  return answer.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK);
}
