// What a client that behaves notices of an attack, and what the attack costs: wrong keys, idle connections, readers that do not read. The
// client asks at a steady rate; its p99 while all is calm is measured right before each attack, in the same round. The attack begins and
// ends while it asks: what it notices while the attackers are there is told apart from what it notices while they come and while they go.
import { setTimeout as delay } from 'node:timers/promises';
import { packageVersions } from '../machine.mjs';
import { treesOf } from '../process-tree.mjs';
import { cpuOf, residentBytes } from '../process-usage.mjs';
import { withPrograms } from '../programs.mjs';
import { inRounds, overRounds } from '../rounds.mjs';
import { startOurs } from '../servers.mjs';
import { percentile, show, table } from '../statistics.mjs';
import { atMost, target } from '../targets.mjs';
import { startWorker } from '../worker.mjs';

export const perNode = true;
const KEY = 'the-key-of-the-client-that-behaves';
const ATTACKER_KEY = 'the-key-of-readers-that-do-not-read';
const PER_SECOND = 200;
const BODY = JSON.stringify({ prompt: 'What is the capital of France?', max_tokens: 8 });
const LONG_BODY = JSON.stringify({ prompt: 'Something long, please.', max_tokens: 100_000 });
const MAX_RATIO = atMost(3);
/** Before the client is compiled, and connected, its figures mean nothing. */
const WARM_UP_SECONDS = 5;
/** After the last attacker has come, what they have begun is still under way for a moment. */
const SETTLED_AFTER_MS = 1000;
/** The attack ends so long before the client does. */
const AFTERMATH_MS = 1000;
/** After an attack, for its connections to be gone. */
const SETTLE_MS = 2000;
const SAMPLES_EVERY_MS = 250;

const ATTACKS = {
  keys: ({ wrongKeysPerSecond }) => ({ perSecond: wrongKeysPerSecond, connections: 200 }),
  idle: ({ idleConnections }) => ({ count: idleConnections }),
  readers: ({ slowReaders }) => ({ count: slowReaders, key: ATTACKER_KEY, body: LONG_BODY }),
};

const LABELS = {
  keys: ({ wrongKeysPerSecond }) => `${wrongKeysPerSecond} wrong keys a second`,
  idle: ({ idleConnections }) => `${idleConnections} idle connections`,
  readers: ({ slowReaders }) => `${slowReaders} readers that do not read`,
};

export async function run({ node, ...settings }) {
  const { rounds, slowReaders, workers } = settings;
  return withPrograms(async (keep) => {
    const upstream = keep(await startWorker(new URL('upstream.mjs', import.meta.url)));
    const server = keep(
      await startOurs({
        upstreamUrl: `http://127.0.0.1:${upstream.hello.port}`,
        node,
        // A slot for each reader: what they hold is connections and buffers, which is what is measured here.
        target: { slots: slowReaders + 64, answer_timeout_ms: 3_600_000 },
        flags: ['--auth.api-keys', JSON.stringify([KEY, ATTACKER_KEY])].concat(
          ...['--rate-limit.requests', '1000000', '--scheduler.max-queue', '10000'],
          ...['--server.max-connections', '20000', '--server.stalled-reader-seconds', '3600'],
          ...['--server.workers', String(workers)],
        ),
      }),
    );
    const bystander = keep(await startWorker(new URL('bystander.mjs', import.meta.url)));
    const client = keep(await startWorker(new URL('client.mjs', import.meta.url)));
    const attacker = keep(await startWorker(new URL('attacker.mjs', import.meta.url)));
    const programs = { server, bystander, client, attacker };
    await asking(programs, WARM_UP_SECONDS);
    const measured = await inRounds(rounds, async () => {
      const round = {};
      for (const name of Object.keys(ATTACKS)) round[name] = await measure(name, programs, settings);
      return round;
    });
    return { versions: packageVersions(['undici'], node), settings, rounds: measured };
  });
}

/** What the client notices of both servers, and how long each did not get round to anything else at most. */
async function asking({ server, bystander, client }, seconds) {
  const servers = [server.url, `http://127.0.0.1:${bystander.hello.port}`].map((url) => ({
    url,
    key: KEY,
    body: BODY,
  }));
  await longestStallMs(server);
  await bystander.ask({});
  const [own, others] = await client.ask({ servers, perSecond: PER_SECOND, seconds });
  const { longestMs } = await bystander.ask({});
  return {
    ...own,
    stallMs: await longestStallMs(server),
    bystander: { ...others, stallMs: longestMs },
  };
}

/** Of the answers that were due from one time to another. */
function latencies({ answered }, [fromMs, untilMs] = [0, Number.POSITIVE_INFINITY]) {
  const found = answered.flatMap(([dueMs, ms]) => (dueMs >= fromMs && dueMs < untilMs ? [ms] : []));
  return { p99Ms: percentile(found, 0.99), maxMs: found.length === 0 ? 0 : percentile(found, 1) };
}

/** Of the event loop since it was asked before, by the server's own metrics; with several workers, of the worst process. */
async function longestStallMs({ url }) {
  const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${KEY}` } });
  const values = [...(await response.text()).matchAll(/^nodejs_eventloop_lag_max_seconds\S* (\S+)$/gm)];
  if (values.length === 0) throw new Error('the server does not tell the delay of its event loop');
  return Math.max(...values.map(([, seconds]) => Number(seconds) * 1000));
}

async function calmly(programs, seconds) {
  const { stallMs, failed, bystander, ...own } = await asking(programs, seconds);
  return {
    stallMs,
    failed,
    ...latencies(own),
    bystander: { stallMs: bystander.stallMs, ...latencies(bystander) },
  };
}

async function measure(name, programs, settings) {
  const { server, attacker } = programs;
  const { url } = server;
  const pids = treesOf([server.pid]);
  const resident = () => pids.reduce((sum, pid) => sum + residentBytes(pid), 0);
  const calm = await calmly(programs, settings.calmSeconds);
  const calmBytes = resident();
  let peakBytes = 0;
  const sampling = setInterval(() => {
    peakBytes = Math.max(peakBytes, resident());
  }, SAMPLES_EVERY_MS);
  const before = { server: cpuSeconds(pids), attacker: cpuSeconds([attacker.pid]) };
  const startedAt = performance.now();
  const asked = asking(programs, settings.seconds);
  await attacker.ask({ attack: name, url, ...ATTACKS[name](settings) });
  const allThereMs = performance.now() - startedAt + SETTLED_AFTER_MS;
  const leavingMs = settings.seconds * 1000 - AFTERMATH_MS;
  await delay(Math.max(0, startedAt + leavingMs - performance.now()));
  const counts = await attacker.ask({ attack: 'end' });
  const { stallMs, failed, bystander, ...own } = await asked;
  const there = [allThereMs, leavingMs];
  const attacked = {
    stallMs,
    failed,
    allThereMs,
    whole: latencies(own),
    coming: latencies(own, [0, allThereMs]),
    there: latencies(own, there),
    leaving: latencies(own, [leavingMs, Number.POSITIVE_INFINITY]),
    bystander: { stallMs: bystander.stallMs, there: latencies(bystander, there) },
  };
  const used = {
    server: cpuSeconds(pids) - before.server,
    attacker: cpuSeconds([attacker.pid]) - before.attacker,
  };
  clearInterval(sampling);
  await delay(SETTLE_MS);
  return { calm, attacked, counts, calmBytes, peakBytes, cpuSeconds: used };
}

function cpuSeconds(pids) {
  return pids.reduce((sum, pid) => sum + cpuOf(pid).user + cpuOf(pid).system, 0) / 1e6;
}

const ratioOf = ({ calm, attacked }) => attacked.there.p99Ms / calm.p99Ms;
const MEBIBYTE = 2 ** 20;

export function report({ rounds, settings }) {
  const overOf = (name, read, digits = 0) =>
    show(
      overRounds(rounds, (round) => read(round[name])),
      digits,
    );
  const names = Object.keys(ATTACKS);
  const noticed = names.map((name) => [
    LABELS[name](settings),
    overOf(name, ({ calm }) => calm.p99Ms, 2),
    overOf(name, ({ attacked }) => attacked.there.p99Ms, 2),
    `**${overOf(name, ratioOf, 2)}**`,
    overOf(name, ({ calm, attacked }) => attacked.bystander.there.p99Ms / calm.bystander.p99Ms, 2),
    overOf(name, ({ attacked }) => attacked.there.maxMs),
    overOf(name, ({ attacked }) => attacked.allThereMs / 1000, 1),
    overOf(name, ({ attacked }) => attacked.coming.maxMs),
    overOf(name, ({ attacked }) => attacked.leaving.maxMs),
    overOf(name, ({ attacked }) => attacked.stallMs),
    overOf(name, ({ calm, attacked }) => calm.failed + attacked.failed),
  ]);
  const head = [
    ...['attack', 'p99 calm, ms', 'p99 attacked, ms', 'attacked / calm', 'of the bystander', 'longest, ms'],
    ...[
      'they come for, s',
      'longest meanwhile, ms',
      'longest as they leave, ms',
      'longest stall, ms',
      'failed',
    ],
  ];
  const cost = names.map((name) => [
    LABELS[name](settings),
    overOf(name, ({ counts }) => counts.opened),
    overOf(name, ({ calmBytes }) => calmBytes / MEBIBYTE),
    overOf(name, ({ peakBytes }) => peakBytes / MEBIBYTE),
    overOf(name, ({ cpuSeconds }) => (100 * cpuSeconds.server) / settings.seconds),
    overOf(name, ({ cpuSeconds }) => (100 * cpuSeconds.attacker) / settings.seconds),
  ]);
  const costHead = [
    ...['attack', 'connections opened', 'MiB calm', 'MiB at most'],
    ...['% of a core', '% of a core: attackers'],
  ];
  return [
    table(head, noticed),
    table(costHead, cost),
    `The client that behaves asks ${PER_SECOND} times a second for ${settings.calmSeconds} s in calm and ${settings.seconds} s with an attack, and the bystander as often. Target: its p99 while all attackers are there is ${MAX_RATIO.text} times the calm one.`,
  ].join('\n\n');
}

export function targets({ rounds, settings }) {
  return Object.keys(ATTACKS).map((name) =>
    target(
      `p99 of a client that behaves, of the calm one: ${LABELS[name](settings)}`,
      MAX_RATIO,
      overRounds(rounds, (round) => ratioOf(round[name])),
      2,
    ),
  );
}
