// What a protocol's translation costs: the server and a byte-for-byte forwarder in front of the same scripted upstream, in
// alternating rounds of one run. Per request: the median time with one connection. Per token: the processor time of the whole
// process, over streams that bring a token every few milliseconds each, and over one that is as fast as it is taken. The figure to
// quote is the difference within a round.
import { readFileSync } from 'node:fs';
import { startExecutable } from '../executable.mjs';
import { packageVersions } from '../machine.mjs';
import { show, summarize, table } from '../statistics.mjs';
import { startWorker } from '../worker.mjs';
import { FORWARDED, PROTOCOLS } from './protocols.mjs';

export const TARGET_REQUEST_MS = 0.15;
export const TARGET_TOKEN_MICROSECONDS = 10;
const SHORT_TOKENS = 8;
const QUESTION = 'What is the capital of France?';
/** About 100,000 tokens. */
const LONG_PROMPT = 'The quick brown fox jumps over the lazy dog. '.repeat(10_000);
const PACED_STREAMS = 32;
const TICK_MS = 10;

export async function run({ rounds, seconds, streamTokens }) {
  const started = [];
  const keep = (program) => {
    started.unshift(program);
    return program;
  };
  try {
    const upstream = keep(await startWorker(new URL('upstream.mjs', import.meta.url)));
    const load = keep(await startWorker(new URL('../gateway/load.mjs', import.meta.url)));
    const upstreamUrl = `http://127.0.0.1:${upstream.hello.port}`;
    const forwarder = keep(
      await startWorker(new URL('forwarder.mjs', import.meta.url), { args: [upstreamUrl] }),
    );
    const ours = keep(
      await startExecutable({
        flags: ['--backend', 'openai-compatible', '--url', upstreamUrl, '--model', 'bench'].concat(
          '--rate-limit.enabled',
          'false',
        ),
      }),
    );
    const bound = { url: `http://127.0.0.1:${forwarder.hello.port}`, pid: forwarder.pid, ...FORWARDED };
    const sides = Object.entries(PROTOCOLS).map(([name, protocol]) => [
      name,
      { url: ours.url, pid: ours.pid, ...protocol },
    ]);
    // Not counted: a round in which everything is compiled by then.
    for (const side of [bound, ...sides.map(([, one]) => one)])
      await measure(side, { load, seconds: 0.5, streamTokens: 4800 });
    const measured = [];
    for (let round = 0; round < rounds; round += 1) {
      const result = {};
      for (const [name, side] of rotate(sides, round)) {
        const forwarded = await measure(bound, { load, seconds, streamTokens });
        result[name] = { forwarded, ours: await measure(side, { load, seconds, streamTokens }) };
      }
      measured.push(result);
    }
    return {
      versions: packageVersions(['fastify', 'undici']),
      settings: { rounds, seconds, streamTokens, longPromptCharacters: LONG_PROMPT.length },
      rounds: measured,
    };
  } finally {
    for (const program of started) await program.stop();
  }
}

async function measure(side, { load, seconds, streamTokens }) {
  const { url, path, body, pid } = side;
  /** A time of 1 ms is one answer for each connection: it is over before they end. */
  const ask = ({ content, tokens, connections = 1, durationMs = 1 }) =>
    load.ask({
      url,
      path,
      body: JSON.stringify(body(content, tokens)),
      connections,
      warmUpMs: 0,
      durationMs,
    });
  const tokenMicroseconds = async (stream) => {
    const before = usageOf(pid).cpuMs;
    await ask(stream);
    return ((usageOf(pid).cpuMs - before) * 1000) / streamTokens;
  };
  const cpuBefore = usageOf(pid).cpuMs;
  const short = await ask({ content: QUESTION, tokens: SHORT_TOKENS, durationMs: seconds * 1000 });
  const requestMicroseconds = ((usageOf(pid).cpuMs - cpuBefore) * 1000) / (short.requestsPerSecond * seconds);
  const before = usageOf(pid).residentMiB;
  const paced = await tokenMicroseconds({
    content: 'paced',
    tokens: streamTokens / PACED_STREAMS,
    connections: PACED_STREAMS,
  });
  const bulk = await tokenMicroseconds({ content: QUESTION, tokens: streamTokens });
  const afterStream = usageOf(pid).residentMiB;
  await ask({ content: LONG_PROMPT, tokens: SHORT_TOKENS });
  return {
    requestP50Ms: short.p50Ms,
    requestMicroseconds,
    tokenMicroseconds: { paced, bulk },
    residentMiB: { before, afterStream, afterLongPrompt: usageOf(pid).residentMiB },
  };
}

/** Of a process, from Linux's accounting. */
function usageOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  const residentPages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
    residentMiB: Math.round((residentPages * 4096) / 2 ** 20),
  };
}

function rotate(list, by) {
  const at = by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}

export function report({ rounds, settings }) {
  const rows = Object.keys(PROTOCOLS).map((name) => {
    const over = (read) => summarize(rounds.map((round) => read(round[name])));
    const both = (read, digits) => [
      show(
        over(({ forwarded }) => read(forwarded)),
        digits,
      ),
      show(
        over(({ ours }) => read(ours)),
        digits,
      ),
      `**${show(
        over(({ forwarded, ours }) => read(ours) - read(forwarded)),
        digits,
      )}**`,
    ];
    return [
      name,
      ...both(({ requestP50Ms }) => requestP50Ms, 3),
      ...both(({ requestMicroseconds }) => requestMicroseconds, 0),
      ...both(({ tokenMicroseconds }) => tokenMicroseconds.paced, 1),
      ...both(({ tokenMicroseconds }) => tokenMicroseconds.bulk, 1),
      show(
        over(({ ours }) => ours.residentMiB.afterStream - ours.residentMiB.before),
        0,
      ),
    ];
  });
  const head = [
    '',
    'forwarder, p50 ms',
    'llm-serve, p50 ms',
    'added ms',
    'forwarder, µs of CPU a request',
    'llm-serve',
    'added µs',
    `forwarder, µs a token, ${PACED_STREAMS} paced streams`,
    'llm-serve',
    'added µs',
    'forwarder, µs a token, one fast stream',
    'llm-serve',
    'added µs',
    `MiB more after ${settings.streamTokens} tokens`,
  ];
  return `${table(head, rows)}\n\nTargets: at most ${TARGET_REQUEST_MS} ms a request and ${TARGET_TOKEN_MICROSECONDS} µs of processor time a token above the forwarder.`;
}
