// The attackers, in a process of their own. Each attack is started with an order, goes on by itself, and is ended by another.
// They come from many loopback addresses, so that no bound for one address ends the attack. The process has a low priority: attackers
// elsewhere would not take the server's cores from it.
import { connect } from 'node:net';
import { getPriority, setPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { serveOrders } from '../worker.mjs';

/** So nice: a tenth of what others get of a core. */
const LOWER_BY = 10;
const ADDRESSES = 250;
const OPENING_AT_ONCE = 64;
const TICK_MS = 5;
const sockets = new Set();
const counts = { sent: 0, answered: 0, opened: 0, lost: 0 };
let isOn = false;

setPriority(getPriority() + LOWER_BY);

const ATTACKS = { keys: sendWrongKeys, idle: holdConnections, readers: readNothing };

serveOrders({}, async ({ attack, ...order }) => {
  if (attack === 'end') {
    isOn = false;
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    return { ...counts };
  }
  isOn = true;
  for (const name of Object.keys(counts)) counts[name] = 0;
  await ATTACKS[attack](order);
  return { ...counts };
});

let next = 0;

/** From the next address. */
function open({ hostname, port }, options = {}) {
  next += 1;
  const localAddress = `127.0.1.${1 + (next % ADDRESSES)}`;
  const socket = connect({ host: hostname, port, localAddress, noDelay: true, ...options });
  sockets.add(socket);
  counts.opened += 1;
  socket.on('error', () => {});
  socket.once('close', () => {
    sockets.delete(socket);
    if (isOn) counts.lost += 1;
  });
  return socket;
}

/** So many requests a second, each with another key that nobody has; an answer is waited for before a connection sends again. */
async function sendWrongKeys({ url, perSecond, connections }) {
  const target = new URL(url);
  const body = JSON.stringify({ prompt: 'let me in' });
  const idle = [];
  const openOne = () => {
    const socket = open(target);
    socket.once('connect', () => idle.push(socket));
    socket.on('data', () => {
      counts.answered += 1;
      idle.push(socket);
    });
    socket.once('close', () => isOn && openOne());
  };
  for (let count = 0; count < connections; count += 1) openOne();
  let owed = 0;
  let last = performance.now();
  const send = () => {
    if (!isOn) return;
    const now = performance.now();
    owed = Math.min(owed + ((now - last) * perSecond) / 1000, perSecond);
    last = now;
    for (; owed >= 1 && idle.length > 0; owed -= 1) {
      const socket = idle.shift();
      if (socket.destroyed) continue;
      counts.sent += 1;
      const key = `sk-llm-${counts.sent.toString(36).padStart(43, 'x')}`;
      socket.write(
        `POST /generate HTTP/1.1\r\nhost: ${target.host}\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
    }
    setTimeout(send, TICK_MS);
  };
  send();
}

/** That many connections that send nothing; those that the server closes are opened again. Resolves when all are open. */
async function holdConnections({ url, count }) {
  const target = new URL(url);
  const keepOne = () =>
    new Promise((resolve) => {
      const socket = open(target);
      socket.once('connect', resolve);
      socket.once('close', () => {
        resolve();
        if (isOn) setTimeout(() => isOn && keepOne(), 100);
      });
    });
  await allAtOnce(count, keepOne);
}

/** That many streams of which only the first bytes are read. Resolves when all have begun. */
async function readNothing({ url, count, key, body }) {
  const target = new URL(url);
  await allAtOnce(
    count,
    () =>
      new Promise((resolve) => {
        const socket = open(target);
        socket.once('data', () => {
          socket.pause();
          resolve();
        });
        socket.once('close', resolve);
        socket.write(
          `POST /stream HTTP/1.1\r\nhost: ${target.host}\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
        );
      }),
  );
}

async function allAtOnce(count, run) {
  let left = count;
  const some = async () => {
    while (left-- > 0) {
      await run();
      await delay(0);
    }
  };
  await Promise.all(Array.from({ length: OPENING_AT_ONCE }, some));
}
