// The client that behaves: so many requests a second on connections that it keeps, whatever the server does meanwhile. A latency
// counts from when the request was due, so that a server that stalls does not slow its own measurement.
import { Agent, request } from 'node:http';
import { percentile } from '../statistics.mjs';
import { serveOrders } from '../worker.mjs';

const agent = new Agent({ keepAlive: true, maxSockets: 32 });

serveOrders({}, async ({ url, key, body, perSecond, seconds }) => {
  const startedAt = performance.now();
  const latenciesMs = [];
  let failed = 0;
  const all = Array.from({ length: perSecond * seconds }, (_, index) => {
    const dueAt = startedAt + (index * 1000) / perSecond;
    return new Promise((resolve) =>
      setTimeout(
        () =>
          ask({ url, key, body })
            .then((status) => {
              if (status === 200) latenciesMs.push(performance.now() - dueAt);
              else failed += 1;
            })
            .catch(() => {
              failed += 1;
            })
            .finally(resolve),
        dueAt - performance.now(),
      ),
    );
  });
  await Promise.all(all);
  return {
    answered: latenciesMs.length,
    failed,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
  };
});

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
