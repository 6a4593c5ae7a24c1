// What a protocol's translation costs: the server, in each protocol, and byte-for-byte forwarders in front of the same scripted
// upstream, in alternating rounds of one run. Per request: the processor time of the whole process and the median time, with one
// connection. Per token: the processor time over streams that bring a token every few milliseconds each, and over one that is as
// fast as it is taken. The figures to quote are the differences within a round.
import { packageVersions } from '../machine.mjs';
import { cpuPerUnit, residentBytes } from '../process-usage.mjs';
import { withPrograms } from '../programs.mjs';
import { inRounds, overRounds, rotate, selected } from '../rounds.mjs';
import { FORWARDERS, LABELS, startForwarder, startOurs } from '../servers.mjs';
import { show, table, worst } from '../statistics.mjs';
import { atMost, target } from '../targets.mjs';
import { startWorker } from '../worker.mjs';
import { FORWARDED, PROTOCOLS } from './protocols.mjs';

export const perNode = true;
const SHORT_TOKENS = 8;
const QUESTION = 'What is the capital of France?';
/** About 100,000 tokens. */
const LONG_PROMPT = 'The quick brown fox jumps over the lazy dog. '.repeat(10_000);
const PACED_STREAMS = 32;
const WARM_UP = { requests: 1000, pacedTokens: 6400, burstTokens: 50_000 };
/** The forwarder that the others are measured against. */
const LEAST = 'node-http';
const TARGETS = { paced: atMost(8), burst: atMost(3), p50Ms: atMost(0.12) };

export async function run({ rounds, only, node, ...work }) {
  return withPrograms(async (keep) => {
    const upstream = keep(await startWorker(new URL('upstream.mjs', import.meta.url)));
    const load = keep(await startWorker(new URL('../load.mjs', import.meta.url)));
    const upstreamUrl = `http://127.0.0.1:${upstream.hello.port}`;
    const all = [];
    for (const name of FORWARDERS)
      all.push({ name, ...keep(await startForwarder(name, { upstreamUrl, node })), ...FORWARDED });
    const ours = keep(await startOurs({ upstreamUrl, node }));
    for (const [name, protocol] of Object.entries(PROTOCOLS)) all.push({ name, ...ours, ...protocol });
    const sides = selected(all, only);
    // Not counted: a round in which everything is compiled by then.
    for (const side of sides) await measure(side, { load, ...WARM_UP });
    return {
      versions: packageVersions(['fastify', 'undici'], node),
      settings: { rounds, ...work, pacedStreams: PACED_STREAMS, longPromptCharacters: LONG_PROMPT.length },
      rounds: await inRounds(rounds, async (round) => {
        const result = {};
        for (const side of rotate(sides, round)) result[side.name] = await measure(side, { load, ...work });
        return result;
      }),
    };
  });
}

async function measure({ url, path, body, pid }, { load, requests, pacedTokens, burstTokens }) {
  const ask = ({ content, tokens, connections = 1, requests = connections }) =>
    load.ask({ url, path, body: JSON.stringify(body(content, tokens)), connections, requests });
  const short = await cpuPerUnit({ pid, units: requests }, () =>
    ask({ content: QUESTION, tokens: SHORT_TOKENS, requests }),
  );
  const before = residentBytes(pid);
  const paced = await cpuPerUnit({ pid, units: pacedTokens }, () =>
    ask({ content: 'paced', tokens: pacedTokens / PACED_STREAMS, connections: PACED_STREAMS }),
  );
  const burst = await cpuPerUnit({ pid, units: burstTokens }, () =>
    ask({ content: QUESTION, tokens: burstTokens }),
  );
  const afterStream = residentBytes(pid);
  await ask({ content: LONG_PROMPT, tokens: SHORT_TOKENS });
  return {
    request: { cpu: short.cpu, p50Ms: short.result.p50Ms },
    token: { paced: paced.cpu, burst: burst.cpu },
    residentBytes: { before, afterStream, afterLongPrompt: residentBytes(pid) },
  };
}

export function report({ rounds, settings }) {
  const measured = (list) => list.filter((name) => rounds[0][name]);
  const names = measured([...FORWARDERS, ...Object.keys(PROTOCOLS)]);
  const rows = (read, digits, more = () => []) =>
    names.map((name) => {
      const over = (of) =>
        show(
          overRounds(rounds, (round) => of(round[name], round)),
          digits,
        );
      const added = name === LEAST ? '' : `**${over((side, round) => read(side) - read(round[LEAST]))}**`;
      return [labelOf(name), over(read), added, ...more(over)];
    });
  const split = (read) => (over) => [over((side) => read(side).user), over((side) => read(side).system)];
  const of = {
    request: ({ request }) => request.cpu,
    paced: ({ token }) => token.paced,
    burst: ({ token }) => token.burst,
  };
  const cpuTable = (title, what, digits, target) =>
    `**${title}**${target && ` (target: ${target})`}:\n\n${table(
      ['', 'µs of CPU', `more than ${LABELS[LEAST]}`, 'user', 'system'],
      rows((side) => of[what](side).total, digits, split(of[what])),
    )}`;
  const grown = measured(Object.keys(PROTOCOLS))
    .map((name) => `${name} ${show(overRounds(rounds, (round) => grownMiB(round[name])))}`)
    .join(', ');
  return [
    cpuTable(`A token, ${PACED_STREAMS} paced streams`, 'paced', 1, `${TARGETS.paced.text} more`),
    cpuTable('A token, one fast stream', 'burst', 1, `${TARGETS.burst.text} more`),
    cpuTable('A request of eight tokens, streamed', 'request', 0, ''),
    `**The same request, p50 in ms** (target: ${TARGETS.p50Ms.text} more):\n\n${table(
      ['', 'p50 ms', `more than ${LABELS[LEAST]}`],
      rows(({ request }) => request.p50Ms, 3),
    )}`,
    `MiB more after a stream of ${settings.burstTokens} tokens: ${grown}.`,
  ].join('\n\n');
}

const labelOf = (name) => (name in LABELS ? `forwarder of bytes, ${LABELS[name]}` : `llm-serve, ${name}`);
const grownMiB = ({ residentBytes: { before, afterStream } }) => (afterStream - before) / 2 ** 20;

/** Of the protocol that is furthest above the forwarder. */
export function targets({ rounds }) {
  const added = (read) =>
    worst(
      Object.keys(PROTOCOLS).map((name) =>
        overRounds(rounds, (round) => read(round[name]) - read(round[LEAST])),
      ),
    );
  const burst = added(({ token }) => token.burst.total);
  const p50Ms = added(({ request }) => request.p50Ms);
  return [
    target(
      'a token in a burst, µs of CPU above forwarding its bytes, worst protocol',
      TARGETS.burst,
      burst,
      1,
    ),
    target(
      'a request of eight tokens, ms p50 above forwarding its bytes, worst protocol',
      TARGETS.p50Ms,
      p50Ms,
      3,
    ),
  ];
}
