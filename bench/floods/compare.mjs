// What a client that behaves notices of an attack, and what the attack costs in memory: wrong keys, idle connections, readers that do
// not read. The client asks at a steady rate; its p99 while all is calm is measured right before each attack, in the same round.
import { setTimeout as delay } from 'node:timers/promises';
import { packageVersions } from '../machine.mjs';
import { cpuOf, residentBytes } from '../process-usage.mjs';
import { withPrograms } from '../programs.mjs';
import { inRounds, overRounds } from '../rounds.mjs';
import { startOurs } from '../servers.mjs';
import { show, table } from '../statistics.mjs';
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
  const { rounds, slowReaders } = settings;
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
        ),
      }),
    );
    const client = keep(await startWorker(new URL('client.mjs', import.meta.url)));
    const attacker = keep(await startWorker(new URL('attacker.mjs', import.meta.url)));
    const programs = { server, client, attacker };
    await asking(programs, WARM_UP_SECONDS);
    const measured = await inRounds(rounds, async () => {
      const round = {};
      for (const name of Object.keys(ATTACKS)) round[name] = await measure(name, programs, settings);
      return round;
    });
    return { versions: packageVersions(['undici'], node), settings, rounds: measured };
  });
}

function asking({ server, client }, seconds) {
  return client.ask({ url: server.url, key: KEY, body: BODY, perSecond: PER_SECOND, seconds });
}

async function measure(name, programs, settings) {
  const { server, attacker } = programs;
  const { pid, url } = server;
  const calm = await asking(programs, settings.seconds);
  const calmBytes = residentBytes(pid);
  await attacker.ask({ attack: name, url, ...ATTACKS[name](settings) });
  let peakBytes = 0;
  const sampling = setInterval(() => {
    peakBytes = Math.max(peakBytes, residentBytes(pid));
  }, SAMPLES_EVERY_MS);
  const before = cpuOf(pid);
  const attacked = await asking(programs, settings.seconds);
  const after = cpuOf(pid);
  clearInterval(sampling);
  const counts = await attacker.ask({ attack: 'end' });
  await delay(SETTLE_MS);
  const cpuSeconds = (after.user + after.system - before.user - before.system) / 1e6;
  return { calm, attacked, counts, calmBytes, peakBytes, cpuSeconds };
}

const ratioOf = ({ calm, attacked }) => attacked.p99Ms / calm.p99Ms;
const MEBIBYTE = 2 ** 20;

export function report({ rounds, settings }) {
  const rows = Object.keys(ATTACKS).map((name) => {
    const over = (read, digits = 0) =>
      show(
        overRounds(rounds, (round) => read(round[name])),
        digits,
      );
    return [
      LABELS[name](settings),
      over(({ calm }) => calm.p99Ms, 2),
      over(({ attacked }) => attacked.p99Ms, 2),
      `**${over(ratioOf, 2)}**`,
      over(({ calm, attacked }) => calm.failed + attacked.failed),
      over(({ calmBytes }) => calmBytes / MEBIBYTE),
      over(({ peakBytes }) => peakBytes / MEBIBYTE),
      over(({ cpuSeconds }) => (100 * cpuSeconds) / settings.seconds),
    ];
  });
  const head = [
    ...['attack', 'p99 calm, ms', 'p99 attacked, ms', 'attacked / calm', 'failed'],
    ...['MiB calm', 'MiB at most', '% of a core'],
  ];
  return `${table(head, rows)}\n\nThe client that behaves asks ${PER_SECOND} times a second for ${settings.seconds} s. Target: its p99 is ${MAX_RATIO.text} times the calm one.`;
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
