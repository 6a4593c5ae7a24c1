// The clients, in a process of their own: requests at set times whatever becomes of those before (open loop), or a set
// number of each client's always under way (closed loop). Each client has a source address of its own where it can.
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { serveOrders } from '../worker.mjs';

/** For the order to be read before the first request is due. */
const LEAD_MS = 20;

serveOrders({}, perform);

/**
 * An order: `url`; `requests`, each `{ client, body }` and, where they have set times, its `atMs`; else `inFlight` of
 * each client for `durationMs`, after which those under way may end; `addresses`: of clients by name.
 * Answers one `{ index, sentAtMs, endedAtMs, status, … }` for each request that was sent; those of a closed loop as they
 * came.
 */
async function perform({ url, requests, addresses, inFlight, durationMs }) {
  const agents = new Map();
  const agentOf = (client) => {
    if (!agents.has(client)) agents.set(client, createAgent(addresses[client]));
    return agents.get(client);
  };
  const startedAt = performance.now() + LEAD_MS;
  const now = () => performance.now() - startedAt;
  const send = (index) => {
    const { client, body } = requests[index];
    return exchange({ agent: agentOf(client), url, index, body, now });
  };
  try {
    return inFlight === undefined
      ? await atTheirTimes({ requests, send, now })
      : await alwaysUnderWay({ requests, send, now, inFlight, durationMs });
  } finally {
    for (const agent of agents.values()) await agent.close();
  }
}

function createAgent(localAddress) {
  return new Agent({ headersTimeout: 0, bodyTimeout: 0, ...(localAddress && { localAddress }) });
}

/** Each wait is for a moment of the order's own clock: one that was late makes none of the others late. */
async function atTheirTimes({ requests, send, now }) {
  const answers = [];
  for (const [index, { atMs }] of requests.entries()) {
    const waitMs = atMs - now();
    if (waitMs > 0) await delay(waitMs);
    answers.push(send(index));
  }
  return Promise.all(answers);
}

/** Every client goes through its own requests, again and again. */
async function alwaysUnderWay({ requests, send, now, inFlight, durationMs }) {
  const answers = [];
  const own = new Map(requests.map(({ client }) => [client, []]));
  for (const [index, { client }] of requests.entries()) own.get(client).push(index);
  const converse = async (indexes) => {
    while (now() < durationMs) {
      const index = indexes.shift();
      indexes.push(index);
      answers.push(await send(index));
    }
  };
  await Promise.all(
    [...own.values()].flatMap((indexes) => Array.from({ length: inFlight }, () => converse(indexes))),
  );
  return answers;
}

async function exchange({ agent, url, index, body: sent, now }) {
  const sentAtMs = now();
  const { statusCode, headers, body } = await request(`${url}/generate`, {
    dispatcher: agent,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: sent,
  });
  const { error, timings, usage } = await body.json();
  return {
    index,
    sentAtMs,
    endedAtMs: now(),
    status: statusCode,
    code: error?.code,
    queueMs: Number(/queue;dur=([\d.]+)/.exec(headers['server-timing'])?.[1]),
    upstreamMs: timings?.upstream_ms,
    totalMs: timings?.total_ms,
    promptTokens: usage?.prompt_tokens,
    answerTokens: usage?.completion_tokens,
  };
}
