// What it saves to ask for whole answers whole: two servers in front of the same upstream, one that asks so and one that always
// streams, in alternating rounds. The figures to quote are the ratios within a round.
import { packageVersions } from '../machine.mjs';
import { cpuPerUnit } from '../process-usage.mjs';
import { withPrograms } from '../programs.mjs';
import { inRounds, overRounds, rotate } from '../rounds.mjs';
import { startOurs } from '../servers.mjs';
import { show, table } from '../statistics.mjs';
import { startWorker } from '../worker.mjs';

export const perNode = true;
const CONNECTIONS = 32;
const TOKENS = 64;
const WARM_UP_REQUESTS = 300;
const WAYS = ['streamed', 'auto'];
const LABELS = { streamed: 'whole_answers: streamed', auto: 'whole_answers: auto' };

export async function run({ rounds, requests, node }) {
  return withPrograms(async (keep) => {
    const upstream = keep(await startWorker(new URL('upstream.mjs', import.meta.url)));
    const load = keep(await startWorker(new URL('../load.mjs', import.meta.url)));
    const upstreamUrl = `http://127.0.0.1:${upstream.hello.port}`;
    const servers = [];
    for (const way of WAYS)
      servers.push({ way, ...keep(await startOurs({ upstreamUrl, node, target: { whole_answers: way } })) });
    // Not counted: a round in which everything is compiled by then.
    for (const server of servers) await measure(server, { load, upstream, requests: WARM_UP_REQUESTS });
    return {
      versions: packageVersions(['fastify', 'undici'], node),
      settings: { connections: CONNECTIONS, tokens: TOKENS, rounds, requests },
      rounds: await inRounds(rounds, async (round) => {
        const result = {};
        for (const server of rotate(servers, round))
          result[server.way] = await measure(server, { load, upstream, requests });
        return result;
      }),
    };
  });
}

async function measure({ url, pid }, { load, upstream, requests }) {
  const body = JSON.stringify({
    prompt: 'What is the capital of France?',
    max_tokens: TOKENS,
    temperature: 0,
  });
  const order = { url, path: '/generate', body, connections: CONNECTIONS, requests };
  const atUpstream = await cpuPerUnit({ pid: upstream.pid, units: requests }, () =>
    cpuPerUnit({ pid, units: requests }, () => load.ask(order)),
  );
  const { cpu, result } = atUpstream.result;
  return {
    requestsPerSecond: result.requestsPerSecond,
    p50Ms: result.p50Ms,
    serverMicroseconds: cpu.total,
    upstreamMicroseconds: atUpstream.cpu.total,
  };
}

export function report({ rounds, settings }) {
  const over = (read, digits) => show(overRounds(rounds, read), digits);
  const rows = WAYS.map((way) => [
    LABELS[way],
    over((round) => round[way].serverMicroseconds),
    over((round) => round[way].upstreamMicroseconds),
    over((round) => round[way].requestsPerSecond),
    over((round) => round[way].p50Ms, 1),
  ]);
  const ratio = (name) => over(({ auto, streamed }) => auto[name] / streamed[name], 2);
  const head = [
    `${settings.tokens} tokens an answer`,
    'llm-serve, µs of CPU a request',
    'upstream, µs of CPU a request',
    'requests/s, 32 connections',
    'p50 ms',
  ];
  return `${table(head, rows)}\n\nWhole / streamed, per round: CPU of llm-serve **${ratio('serverMicroseconds')}**, CPU of the upstream **${ratio('upstreamMicroseconds')}**, requests/s **${ratio('requestsPerSecond')}**.`;
}
