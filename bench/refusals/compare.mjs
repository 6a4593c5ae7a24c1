// What it costs to say no: a request that the limiter, the door or a full queue refuses, against one that is answered. Each has a
// server of its own, and they take turns. The figures to quote are the ratios within a round.
import { packageVersions } from '../machine.mjs';
import { cpuPerUnit } from '../process-usage.mjs';
import { withPrograms } from '../programs.mjs';
import { inRounds, overRounds, rotate } from '../rounds.mjs';
import { startOurs } from '../servers.mjs';
import { show, table } from '../statistics.mjs';
import { atMost, target } from '../targets.mjs';
import { startWorker } from '../worker.mjs';

export const perNode = true;
const CONNECTIONS = 32;
const PATH = '/generate';
const BODY = JSON.stringify({ prompt: 'What is the capital of France?', max_tokens: 8, temperature: 0 });
const ONE_A_DAY = ['--rate-limit.enabled', 'true', '--rate-limit.requests', '1'].concat(
  '--rate-limit.window-seconds',
  '86400',
);
const WITH_KEYS = ['--auth.api-keys', '["a key that nobody has"]', '--rate-limit.requests', '1000000'];
const SHORT_QUEUE = ['--scheduler.max-queue', '1', '--scheduler.queue-timeout-ms', '3600000'].concat(
  '--generation.request-timeout-ms',
  '3600000',
  '--rate-limit.requests',
  '1000000',
);
const TARGET = atMost(0.5);
const ONE_SLOT = { slots: 1, idle_timeout_ms: 3_600_000 };
const LABELS = {
  accepted: 'answered (200)',
  limiter: 'refused by the limiter (429)',
  door: 'refused without a key (401)',
  queue: 'refused by a full queue (503)',
};

export async function run({ rounds, requests, node }) {
  return withPrograms(async (keep) => {
    const upstream = keep(await startWorker(new URL('../gateway/upstream.mjs', import.meta.url)));
    const holding = keep(await startWorker(new URL('../holding-upstream.mjs', import.meta.url)));
    const load = keep(await startWorker(new URL('../load.mjs', import.meta.url)));
    const holder = keep(await startWorker(new URL('../holder.mjs', import.meta.url)));
    const urlOf = ({ hello }) => `http://127.0.0.1:${hello.port}`;
    const start = async (name, status, settings) => ({
      name,
      status,
      ...keep(await startOurs({ upstreamUrl: urlOf(upstream), node, ...settings })),
    });
    const servers = [
      await start('accepted', 200, {}),
      await start('limiter', 429, { flags: ONE_A_DAY }),
      await start('door', 401, { flags: WITH_KEYS }),
      await start('queue', 503, { upstreamUrl: urlOf(holding), flags: SHORT_QUEUE, target: ONE_SLOT }),
    ];
    await fill({ servers, load, holder });
    const measureRound = async (round) => {
      const result = {};
      for (const server of rotate(servers, round))
        result[server.name] = await measure(server, { load, requests });
      return result;
    };
    // Not counted: a round in which everything is compiled by then.
    await measureRound(0);
    return {
      versions: packageVersions(['fastify', 'undici'], node),
      settings: { rounds, requests, connections: CONNECTIONS },
      rounds: await inRounds(rounds, measureRound),
    };
  });
}

/** The limiter lets one pass; one request has the only slot, and one the only place in the queue. */
async function fill({ servers, load, holder }) {
  const { limiter, queue } = Object.fromEntries(servers.map((server) => [server.name, server]));
  await load.ask({ url: limiter.url, path: PATH, body: BODY, connections: 1, requests: 1 });
  const stream = { url: queue.url, path: '/stream', body: JSON.stringify({ prompt: 'held' }) };
  await holder.ask({ ...stream, count: 1, text: 'The' });
  await holder.ask({ ...stream, count: 1 });
}

async function measure({ url, pid, status }, { load, requests }) {
  const { cpu, result } = await cpuPerUnit({ pid, units: requests }, () =>
    load.ask({ url, path: PATH, body: BODY, connections: CONNECTIONS, requests, status }),
  );
  return { cpu, ...result };
}

export function report({ rounds }) {
  const rows = Object.entries(LABELS).map(([name, label]) => {
    const over = (read, digits) =>
      show(
        overRounds(rounds, (round) => read(round[name], round)),
        digits,
      );
    return [
      label,
      `**${over(({ cpu }) => cpu.total)}**`,
      name === 'accepted' ? '' : `**${over(({ cpu }, { accepted }) => cpu.total / accepted.cpu.total, 2)}**`,
      over(({ cpu }) => cpu.user),
      over(({ cpu }) => cpu.system),
      over(({ requestsPerSecond }) => requestsPerSecond),
      over(({ p99Ms }) => p99Ms, 2),
    ];
  });
  const head = ['', 'µs of CPU a request', 'of an answered one', 'user', 'system', 'requests/s', 'p99 ms'];
  return `${table(head, rows)}\n\nTarget for limiter and key: ${TARGET.text} of an answered one.`;
}

export function targets({ rounds }) {
  return ['limiter', 'door'].map((name) => {
    const ratio = overRounds(rounds, (round) => round[name].cpu.total / round.accepted.cpu.total);
    return target(`CPU of a request ${LABELS[name]}, of an answered one`, TARGET, ratio, 2);
  });
}
