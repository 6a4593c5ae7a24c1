// What it saves to ask for whole answers whole: two servers in front of the same upstream, one that asks so and one that always
// streams, in alternating rounds. The figures to quote are the ratios within a round.
import { readFileSync } from 'node:fs';
import { startExecutable } from '../executable.mjs';
import { packageVersions } from '../machine.mjs';
import { show, summarize, table } from '../statistics.mjs';
import { startWorker } from '../worker.mjs';

const CONNECTIONS = 32;
const TOKENS = 64;
const MILLISECONDS_PER_TICK = 10;
const WAYS = ['streamed', 'auto'];
const LABELS = { streamed: 'whole_answers: streamed', auto: 'whole_answers: auto' };

export async function run({ rounds, seconds }) {
  const started = [];
  const keep = (program) => {
    started.unshift(program);
    return program;
  };
  try {
    const upstream = keep(await startWorker(new URL('upstream.mjs', import.meta.url)));
    const load = keep(await startWorker(new URL('../gateway/load.mjs', import.meta.url)));
    const url = `http://127.0.0.1:${upstream.hello.port}`;
    const servers = [];
    for (const way of WAYS) {
      const target = { backend: 'openai-compatible', url, model: 'bench', whole_answers: way };
      const models = JSON.stringify([{ id: 'bench', targets: [target] }]);
      const server = await startExecutable({ flags: ['--models', models, '--rate-limit.enabled', 'false'] });
      servers.push({ way, ...keep(server) });
    }
    // Not counted: a round in which everything is compiled by then.
    for (const server of servers) await measure(server, { load, upstream, seconds: 1 });
    const measured = [];
    for (let round = 0; round < rounds; round += 1) {
      const result = {};
      for (const server of round % 2 === 0 ? servers : [...servers].reverse())
        result[server.way] = await measure(server, { load, upstream, seconds });
      measured.push(result);
    }
    return {
      versions: packageVersions(['fastify', 'undici']),
      settings: { connections: CONNECTIONS, tokens: TOKENS, rounds, seconds },
      rounds: measured,
    };
  } finally {
    for (const program of started) await program.stop();
  }
}

async function measure({ url, pid }, { load, upstream, seconds }) {
  const before = { server: cpuMsOf(pid), upstream: (await upstream.ask({})).cpuMs };
  const body = JSON.stringify({
    prompt: 'What is the capital of France?',
    max_tokens: TOKENS,
    temperature: 0,
  });
  const order = { url, path: '/generate', body, connections: CONNECTIONS, warmUpMs: 0 };
  const { requestsPerSecond, p50Ms } = await load.ask({ ...order, durationMs: seconds * 1000 });
  const answered = requestsPerSecond * seconds;
  return {
    requestsPerSecond,
    p50Ms,
    serverMicroseconds: ((cpuMsOf(pid) - before.server) * 1000) / answered,
    upstreamMicroseconds: (((await upstream.ask({})).cpuMs - before.upstream) * 1000) / answered,
  };
}

/** Of a process, from Linux's accounting. */
function cpuMsOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MILLISECONDS_PER_TICK;
}

export function report({ rounds, settings }) {
  const over = (read) => summarize(rounds.map(read));
  const rows = WAYS.map((way) => [
    LABELS[way],
    show(over((round) => round[way].requestsPerSecond)),
    show(
      over((round) => round[way].p50Ms),
      1,
    ),
    show(over((round) => round[way].serverMicroseconds)),
    show(over((round) => round[way].upstreamMicroseconds)),
  ]);
  const ratio = (name) =>
    show(
      over(({ auto, streamed }) => auto[name] / streamed[name]),
      2,
    );
  const head = [
    `${settings.tokens} tokens an answer`,
    'requests/s, 32 connections',
    'p50 ms',
    'llm-serve, µs of CPU a request',
    'upstream, µs of CPU a request',
  ];
  return `${table(head, rows)}\n\nWhole / streamed, per round: requests/s **${ratio('requestsPerSecond')}**, CPU of llm-serve **${ratio('serverMicroseconds')}**, CPU of the upstream **${ratio('upstreamMicroseconds')}**.`;
}
