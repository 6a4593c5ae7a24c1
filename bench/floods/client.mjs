// The client that behaves: so many requests a second to each server, on connections that it keeps, whatever they do meanwhile. A latency
// counts from when the request was due, so that a server that stalls does not slow its own measurement.
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { serveOrders } from '../worker.mjs';

const agent = new Agent({ keepAlive: true, maxSockets: 32 });

/** When each request was due, in milliseconds from the start, and how long its answer took from then. */
serveOrders({}, async ({ servers, perSecond, seconds }) => {
  const startedAt = performance.now();
  return Promise.all(servers.map((server) => askAll(server, { startedAt, perSecond, seconds })));
});

async function askAll(server, { startedAt, perSecond, seconds }) {
  const answered = [];
  const askOnce = async (dueAt) => {
    await delay(dueAt - performance.now());
    const status = await ask(server).catch(() => undefined);
    if (status === 200) answered.push([dueAt - startedAt, performance.now() - dueAt]);
  };
  const dueAt = (index) => startedAt + (index * 1000) / perSecond;
  await Promise.all(Array.from({ length: perSecond * seconds }, (_, index) => askOnce(dueAt(index))));
  return { answered, failed: perSecond * seconds - answered.length };
}

function ask({ url, key, body }) {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const asking = request(`${url}/generate`, { method: 'POST', agent, headers });
    asking.once('error', reject);
    asking.once('response', (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode));
      response.once('error', reject);
    });
    asking.end(body);
  });
}
