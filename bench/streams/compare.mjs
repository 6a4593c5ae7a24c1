// Many streams of 50 tokens a second each through one core: what a token costs, and how many streams there can be before tokens come
// late. The upstream's tokens are spread evenly in time, client and upstream are on other cores than the server, and a point at
// which they were late themselves does not count. The figures to quote are the differences within a round.
import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';
import { packageVersions } from '../machine.mjs';
import { startNativePrograms, whatIsMissing } from '../native/programs.mjs';
import { withPrograms } from '../programs.mjs';
import { inRounds, rotate, selected } from '../rounds.mjs';
import { FORWARDERS, LABELS, startForwarder, startOurs } from '../servers.mjs';
import { show, summarize, table, worst } from '../statistics.mjs';
import { atLeast, atMost, target } from '../targets.mjs';
import { FORWARDED, PROTOCOLS } from '../translation/protocols.mjs';

export const perNode = true;
export { whatIsMissing };

const PERIOD_MS = 20;
/** With this many, every protocol is measured. */
const PROTOCOLS_AT = 256;
const EVERYWHERE = [...FORWARDERS, 'openai chat'];
const HOLDS = { addedGapMs: 5, lost: 0 };
const TARGETS = { addedMicroseconds: atMost(8), streams: atLeast(512) };
const TARGETS_AT = [32, 256, 512];
const HARNESS_LATE_MS = 2;
/** Half of the tokens must not be later than this, or so many arrive together that each costs less. */
const BUNCHED_MS = 0.5;
const QUIET_MS = 300;
const WARM_UP = { count: 128, seconds: 3 };
/** The forwarder that the others are measured against. */
const LEAST = 'node-http';

export async function run({ rounds, seconds, counts, only, node }) {
  return withPrograms(async (keep) => {
    const native = keep(await startNativePrograms());
    const { upstreamUrl } = native;
    const all = [];
    for (const name of FORWARDERS)
      all.push({ name, ...keep(await startForwarder(name, { upstreamUrl, node })), ...FORWARDED });
    const ours = keep(await startOurs({ upstreamUrl, node, target: { slots: 4096 } }));
    for (const [name, protocol] of Object.entries(PROTOCOLS)) all.push({ name, ...ours, ...protocol });
    const sides = selected(all, only);
    for (const side of sides) native.pinServer(side);
    // Not counted: everything is compiled by then.
    for (const side of sides) {
      const { failed } = await measure(side, { native, ...WARM_UP });
      if (failed) throw new Error(`${side.name}: ${failed}`);
    }
    return {
      versions: packageVersions(['fastify', 'undici'], node),
      settings: { rounds, seconds, counts, tokensPerSecond: 1000 / PERIOD_MS },
      rounds: await inRounds(rounds, (round) =>
        measureRound({ sides: rotate(sides, round), counts: numbersOf(counts), native, seconds }),
      ),
    };
  });
}

/** `counts`: with commas, as a trial gives them. */
const numbersOf = (counts) => String(counts).split(',').map(Number);

/** By side and number of streams; nothing above the first number that a side cannot hold. */
async function measureRound({ sides, counts, native, seconds }) {
  const result = Object.fromEntries(sides.map(({ name }) => [name, {}]));
  for (const count of counts) {
    for (const side of sides) {
      const points = Object.values(result[side.name]);
      const isWanted = EVERYWHERE.includes(side.name) || count === PROTOCOLS_AT;
      if (!isWanted || points.some((point) => counted(point) && !holds(point))) continue;
      result[side.name][count] = await measure(side, { native, count, seconds });
    }
  }
  return result;
}

async function measure({ url, pid, path, body }, { native, count, seconds }) {
  await delay(QUIET_MS);
  const { body: answer } = await request(`${native.upstreamUrl}/schedule/${count}`);
  await answer.dump();
  // As many tokens as there may be: the client ends the streams.
  const asked = { path, body: body('paced', 900_000) };
  return native.run('stream-client', [new URL(url).port, pid, count, seconds, PERIOD_MS], asked);
}

/** Whether upstream and client were in time. */
const counted = ({ failed, upstreamLateMs, clientLateMs }) =>
  failed !== undefined || (upstreamLateMs.p99 <= HARNESS_LATE_MS && clientLateMs.p99 <= HARNESS_LATE_MS);
const holds = ({ failed, lost, addedGapMs }) =>
  failed === undefined && lost <= HOLDS.lost && addedGapMs.p99 <= HOLDS.addedGapMs;

// What a point says, as a list: of one that is not there, or does not count, nothing.
const isMeasured = (point) => point !== undefined && !point.failed;
const cpuOf = (point) =>
  isMeasured(point) && point.upstreamLateMs.p50 <= BUNCHED_MS ? [point.cpuMicroseconds / point.tokens] : [];
const addedOf = (point, least) => cpuOf(point).flatMap((cpu) => cpuOf(least).map((of) => cpu - of));
const gapOf = (point) => (isMeasured(point) && counted(point) ? [point.addedGapMs.p99] : []);

export function report({ rounds, settings }) {
  const names = [...FORWARDERS, ...Object.keys(PROTOCOLS)].filter((name) => rounds[0][name]);
  const counts = numbersOf(settings.counts);
  const cells = (name, count, read, digits) => {
    const values = rounds.flatMap((round) => read(round[name][count], round[LEAST]?.[count]));
    return values.length === 0 ? '–' : show(summarize(values), digits);
  };
  const rows = (read, digits) =>
    names.map((name) => [labelOf(name), ...counts.map((count) => cells(name, count, read, digits))]);
  const head = ['', ...counts.map((count) => `${count} streams`)];
  const largest = names
    .filter((name) => EVERYWHERE.includes(name))
    .map((name) => [labelOf(name), show(summarize(rounds.map((round) => largestOf(round[name]))))]);
  return [
    `**Most streams at once** of ${counts.join(', ')} (target: ${TARGETS.streams.text} with nothing lost and a p99 added gap of at most ${HOLDS.addedGapMs} ms):\n\n${table(['', 'streams'], largest)}`,
    `**A token, µs of CPU:**\n\n${table(head, rows(cpuOf, 1))}`,
    `**A token, µs of CPU more than ${LABELS[LEAST]}** (target: ${TARGETS.addedMicroseconds.text}):\n\n${table(
      head,
      rows(addedOf, 1).filter(([label]) => label !== labelOf(LEAST)),
    )}`,
    `**Added gap, p99 in ms** (– is not measured, or does not count):\n\n${table(head, rows(gapOf, 2))}`,
    `Lost or given up: ${lostOf(rounds)}.`,
  ].join('\n\n');
}

const labelOf = (name) => (name in LABELS ? `forwarder of bytes, ${LABELS[name]}` : `llm-serve, ${name}`);

/** 0 where not even the least number holds. */
const largestOf = (points) =>
  Math.max(
    0,
    ...Object.entries(points).flatMap(([count, point]) =>
      counted(point) && holds(point) ? Number(count) : [],
    ),
  );

function lostOf(rounds) {
  const lost = rounds.flatMap((round) =>
    Object.entries(round).flatMap(([name, points]) =>
      Object.entries(points).flatMap(([count, point]) => {
        if (!counted(point) || (!point.failed && point.lost === 0)) return [];
        return `${point.failed ?? `${point.lost} of ${point.tokens}`} (${labelOf(name)}, ${count} streams)`;
      }),
    ),
  );
  return lost.length === 0 ? 'nothing' : lost.join(', ');
}

export function targets({ rounds }) {
  const ours = (name) => !FORWARDERS.includes(name);
  const added = TARGETS_AT.flatMap((count) => {
    const summaries = Object.keys(rounds[0])
      .filter(ours)
      .map((name) => rounds.flatMap((round) => addedOf(round[name][count], round[LEAST][count])))
      .filter((values) => values.length > 0)
      .map(summarize);
    const what = `a paced token, ${count} streams, µs of CPU above forwarding its bytes${count === PROTOCOLS_AT ? ', worst protocol' : ''}`;
    return summaries.length > 0 ? target(what, TARGETS.addedMicroseconds, worst(summaries), 1) : [];
  });
  const largest = summarize(rounds.map((round) => largestOf(round['openai chat'])));
  return [
    ...added,
    target(
      'streams at 50 tokens/s on one core, nothing lost, p99 added gap at most 5 ms',
      TARGETS.streams,
      largest,
    ),
  ];
}
