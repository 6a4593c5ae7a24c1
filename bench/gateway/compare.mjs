// What the gateway costs: it, two bare forwarders, and nginx, in front of the same instant upstream, in alternating rounds
// of one run. The figures to quote are the ratios within a round.
import { nginxVersion, packageVersions } from '../machine.mjs';
import { cpuPerUnit } from '../process-usage.mjs';
import { withPrograms } from '../programs.mjs';
import { inRounds, overRounds, rotate, selected } from '../rounds.mjs';
import { FORWARDERS, LABELS, startForwarder, startOurs } from '../servers.mjs';
import { show, table } from '../statistics.mjs';
import { atLeast, atMost, target } from '../targets.mjs';
import { startWorker } from '../worker.mjs';
import { startNginx } from './nginx.mjs';

export const perNode = true;
const CONNECTIONS = 32;
const PROMPT = 'What is the capital of France?';
const NATIVE = { path: '/generate', body: { prompt: PROMPT, max_tokens: 8, temperature: 0 } };
const OPENAI = {
  path: '/v1/chat/completions',
  body: {
    model: 'bench',
    stream: true,
    stream_options: { include_usage: true },
    temperature: 0,
    max_tokens: 8,
    messages: [{ role: 'user', content: PROMPT }],
  },
};
const ROWS = { direct: 'upstream, direct', nginx: 'nginx, one process', ...LABELS };
const AGAINST = [
  {
    what: 'CPU a request, ratio',
    bound: atMost(1.2),
    digits: 2,
    read: (ours, bare) => ours.cpu.total / bare.cpu.total,
  },
  {
    what: 'requests/s at 32 connections, ratio',
    bound: atLeast(0.85),
    digits: 2,
    read: (ours, bare) => ours.loaded.requestsPerSecond / bare.loaded.requestsPerSecond,
  },
  {
    what: 'p50 at 1 connection, ms more',
    bound: atMost(0.1),
    digits: 3,
    read: (ours, bare) => ours.alone.p50Ms - bare.alone.p50Ms,
  },
];

export async function run({ rounds, requests, only, node }) {
  const nginx = nginxVersion();
  return withPrograms(async (keep) => {
    const upstream = keep(await startWorker(new URL('upstream.mjs', import.meta.url)));
    const load = keep(await startWorker(new URL('../load.mjs', import.meta.url)));
    const started = await startServers({ upstream, withNginx: nginx !== undefined, node, keep });
    const servers = selected(started, only);
    const measureRound = async (round) => {
      const result = {};
      for (const server of rotate(servers, round))
        result[server.name] = await measure(server, { load, requests });
      return result;
    };
    // Not counted: a round in which everything is compiled by then.
    await measureRound(0);
    return {
      versions: { ...packageVersions(['fastify', 'undici'], node), ...(nginx && { nginx }) },
      settings: { connections: CONNECTIONS, rounds, requests },
      rounds: await inRounds(rounds, measureRound),
    };
  });
}

async function startServers({ upstream, withNginx, node, keep }) {
  const upstreamUrl = `http://127.0.0.1:${upstream.hello.port}`;
  const servers = [{ name: 'direct', url: upstreamUrl, pid: upstream.pid, call: OPENAI }];
  if (withNginx)
    servers.push({ name: 'nginx', ...keep(await startNginx(upstream.hello.port)), call: OPENAI });
  for (const name of FORWARDERS)
    servers.push({ name, ...keep(await startForwarder(name, { upstreamUrl, node })), call: NATIVE });
  return [...servers, { name: 'ours', ...keep(await startOurs({ upstreamUrl, node })), call: NATIVE }];
}

async function measure({ url, pid, call }, { load, requests }) {
  const order = { url, path: call.path, body: JSON.stringify(call.body) };
  const { cpu, result: loaded } = await cpuPerUnit({ pid, units: requests }, () =>
    load.ask({ ...order, connections: CONNECTIONS, requests }),
  );
  const alone = await load.ask({ ...order, connections: 1, requests: Math.round(requests / 10) });
  return { cpu, loaded, alone };
}

export function report({ rounds }) {
  const rows = Object.keys(ROWS)
    .filter((name) => rounds[0][name])
    .map((name) => {
      const over = (read, digits) =>
        show(
          overRounds(rounds, (round) => read(round[name], round)),
          digits,
        );
      return [
        ROWS[name],
        `**${over(({ cpu }) => cpu.total)}**`,
        over(({ cpu }) => cpu.user),
        over(({ cpu }) => cpu.system),
        over(({ loaded }) => loaded.requestsPerSecond),
        over(({ loaded }) => loaded.p50Ms, 2),
        over(({ loaded }) => loaded.p99Ms, 2),
        over(({ alone }) => alone.p50Ms, 3),
        name === 'direct' || !rounds[0].direct
          ? ''
          : over(({ alone }, { direct }) => alone.p50Ms - direct.alone.p50Ms, 3),
      ];
    });
  const head = [
    '',
    'µs of CPU a request',
    'user',
    'system',
    'requests/s, 32 connections',
    'p50 ms',
    'p99 ms',
    'p50 ms, 1 connection',
    'added p50 ms',
  ];
  return rounds[0].ours ? `${table(head, rows)}\n\n${ratios(rounds)}` : table(head, rows);
}

/** llm-serve against each forwarder within a round, beside what is wanted of it. */
function ratios(rounds) {
  const forwarders = FORWARDERS.filter((name) => rounds[0][name]);
  const rows = AGAINST.map(({ what, bound, digits, read }) => [
    what,
    ...forwarders.map((name) => show(against(rounds, name, read), digits)),
    bound.text,
  ]);
  const head = ['llm-serve against', ...forwarders.map((name) => LABELS[name]), 'target (Fastify + undici)'];
  return table(head, rows);
}

const against = (rounds, name, read) => overRounds(rounds, (round) => read(round.ours, round[name]));

export function targets({ rounds }) {
  return AGAINST.map(({ what, bound, digits, read }) =>
    target(`${what}, against ${LABELS.fastify}`, bound, against(rounds, 'fastify', read), digits),
  );
}
