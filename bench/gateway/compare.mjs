// What the gateway costs: it, a bare forwarder with the same libraries, and nginx, in front of the same instant
// upstream, in alternating rounds of one run. The figure to quote is the ratio within a round.
import { startExecutable } from '../executable.mjs';
import { nginxVersion, packageVersions } from '../machine.mjs';
import { show, summarize, table } from '../statistics.mjs';
import { startWorker } from '../worker.mjs';
import { startNginx } from './nginx.mjs';

export const TARGET_RATIO = 0.8;
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
const LABELS = {
  direct: 'upstream, direct',
  nginx: 'nginx, one worker',
  bare: 'bare Fastify + undici forwarder',
  ours: 'llm-serve',
};

export async function run({ rounds, seconds }) {
  const started = [];
  const keep = (program) => {
    started.unshift(program);
    return program;
  };
  const nginx = nginxVersion();
  try {
    const upstream = keep(await startWorker(new URL('upstream.mjs', import.meta.url)));
    const load = keep(await startWorker(new URL('load.mjs', import.meta.url)));
    const servers = await startServers({
      upstreamPort: upstream.hello.port,
      withNginx: nginx !== undefined,
      keep,
    });
    // Not counted: a round in which everything is compiled by then.
    await measureRound({ servers, load, seconds });
    const measured = [];
    for (let round = 0; round < rounds; round += 1) {
      measured.push(await measureRound({ servers: rotate(servers, round), load, seconds }));
    }
    return {
      versions: { ...packageVersions(['fastify', 'undici']), ...(nginx && { nginx }) },
      settings: { connections: CONNECTIONS, rounds, seconds },
      rounds: measured,
    };
  } finally {
    for (const program of started) await program.stop();
  }
}

async function startServers({ upstreamPort, withNginx, keep }) {
  const upstreamUrl = `http://127.0.0.1:${upstreamPort}`;
  const bare = keep(
    await startWorker(new URL('bare-forwarder.mjs', import.meta.url), { args: [upstreamUrl] }),
  );
  const ours = keep(
    await startExecutable({
      flags: ['--models', JSON.stringify([streamedModel(upstreamUrl)]), '--rate-limit.enabled', 'false'],
    }),
  );
  const nginx = withNginx ? keep(await startNginx(upstreamPort)) : undefined;
  return [
    { name: 'direct', url: upstreamUrl, call: OPENAI },
    ...(nginx ? [{ name: 'nginx', url: nginx.url, call: OPENAI }] : []),
    { name: 'bare', url: `http://127.0.0.1:${bare.hello.port}`, call: NATIVE },
    { name: 'ours', url: ours.url, call: NATIVE },
  ];
}

/** As the forwarder does, it reads a stream also where the client wants the answer whole. */
function streamedModel(url) {
  const target = { backend: 'openai-compatible', url, model: 'bench', whole_answers: 'streamed' };
  return { id: 'bench', targets: [target] };
}

async function measureRound({ servers, load, seconds }) {
  const round = {};
  for (const { name, url, call } of servers) {
    const order = { url, path: call.path, body: JSON.stringify(call.body), durationMs: seconds * 1000 };
    const loaded = await load.ask({ ...order, connections: CONNECTIONS, warmUpMs: 1000 });
    const alone = await load.ask({ ...order, connections: 1, warmUpMs: 200 });
    round[name] = { loaded, alone };
  }
  return round;
}

/** No server always comes after the same one. */
function rotate(list, by) {
  const at = by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}

export function report({ rounds }) {
  const over = (read) => summarize(rounds.map(read));
  const rows = Object.keys(LABELS)
    .filter((name) => rounds[0][name])
    .map((name) => [
      LABELS[name],
      show(over((round) => round[name].loaded.requestsPerSecond)),
      show(
        over((round) => round[name].loaded.p50Ms),
        2,
      ),
      show(
        over((round) => round[name].loaded.p99Ms),
        2,
      ),
      show(
        over((round) => round[name].alone.p50Ms),
        3,
      ),
      name === 'direct'
        ? ''
        : show(
            over((round) => round[name].alone.p50Ms - round.direct.alone.p50Ms),
            3,
          ),
    ]);
  const ratio = over(({ ours, bare }) => ours.loaded.requestsPerSecond / bare.loaded.requestsPerSecond);
  const head = ['', 'requests/s, 32 connections', 'p50 ms', 'p99 ms', 'p50 ms, 1 connection', 'added p50 ms'];
  return `${table(head, rows)}\n\nllm-serve / bare forwarder, per round: **${show(ratio, 2)}**; target: at least ${TARGET_RATIO}.`;
}
