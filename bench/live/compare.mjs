// What GET /live costs the server: its CPU time under a steady load of streams while nobody, one page and four pages read it, in turn.
// The figures to quote are the differences within a round. What is paid where nobody reads is measured in process, and set against
// the same load.
import { setTimeout as delay } from 'node:timers/promises';
import { packageVersions } from '../machine.mjs';
import { cpuOf } from '../process-usage.mjs';
import { withPrograms } from '../programs.mjs';
import { inRounds, overRounds, rotate } from '../rounds.mjs';
import { startOurs } from '../servers.mjs';
import { show, summarize, table } from '../statistics.mjs';
import { atMost, target } from '../targets.mjs';
import { PROTOCOLS } from '../translation/protocols.mjs';
import { startWorker } from '../worker.mjs';
import { costsInProcess } from './in-process.mjs';

export const perNode = true;
const READERS = [0, 1, 4];
const SLOTS = 64;
/** More than there are slots: some requests always wait. */
const CONNECTIONS = 80;
const TOKENS = 64;
const PACE_MS = 20;
const { path, body } = PROTOCOLS['openai chat'];
const BODY = JSON.stringify(body('paced', TOKENS));
/** After the last reader has gone, its sums go on for a while (telemetry/live-feed.ts). */
const SETTLE_MS = { unread: 16_000, read: 1500 };
const WARM_UP_MS = 8000;
const TARGETS = { perReader: atMost(1), unread: atMost(0.1) };

export async function run({ rounds, seconds, node }) {
  return withPrograms(async (keep) => {
    const upstream = keep(
      await startWorker(new URL('../translation/upstream.mjs', import.meta.url), { args: [String(PACE_MS)] }),
    );
    const readers = keep(await startWorker(new URL('readers.mjs', import.meta.url)));
    const server = keep(
      await startOurs({
        upstreamUrl: `http://127.0.0.1:${upstream.hello.port}`,
        node,
        target: { slots: SLOTS },
        flags: ['--rate-limit.enabled', 'false'],
      }),
    );
    const load = keep(await startWorker(new URL('../load.mjs', import.meta.url)));
    const order = { url: server.url, path, body: BODY, connections: CONNECTIONS, requests: 1e9 };
    // It goes on until its process is stopped.
    load.ask(order).catch(() => {});
    const { url, pid } = server;
    await readers.ask({ url, count: 1 });
    await delay(WARM_UP_MS);
    const measureRound = async (round) => {
      const result = {};
      for (const count of rotate(READERS, round))
        result[count] = await measure({ url, pid, readers, count, seconds });
      return result;
    };
    const measured = await inRounds(rounds, measureRound);
    return {
      versions: packageVersions(['undici'], node),
      settings: {
        rounds,
        seconds,
        slots: SLOTS,
        clients: CONNECTIONS,
        tokens: TOKENS,
        tokensPerSecond: 1000 / PACE_MS,
      },
      rounds: measured,
      inProcess: costsInProcess(rounds),
    };
  });
}

/** `cpu`: of one core, in percent. */
async function measure({ url, pid, readers, count, seconds }) {
  await readers.ask({ url, count });
  await delay(count === 0 ? SETTLE_MS.unread : SETTLE_MS.read);
  const ended = await totalsOf(url);
  await readers.ask({ url, count });
  const before = cpuOf(pid);
  const startedAt = performance.now();
  await delay(seconds * 1000);
  const after = cpuOf(pid);
  const elapsedMs = performance.now() - startedAt;
  const { bytes, snapshots } = await readers.ask({ url, count });
  const by = await totalsOf(url);
  const cpuMs = (after.user + after.system - before.user - before.system) / 1000;
  const perSecond = (amount) => (amount * 1000) / elapsedMs;
  return {
    cpu: (100 * cpuMs) / elapsedMs,
    requestsPerSecond: perSecond(by.requests - ended.requests),
    tokensPerSecond: perSecond(by.tokens - ended.tokens),
    snapshotsPerSecond: count === 0 ? 0 : perSecond(snapshots / count),
    snapshotBytes: snapshots === 0 ? 0 : bytes / snapshots,
  };
}

async function totalsOf(url) {
  const text = await (await fetch(`${url}/metrics`)).text();
  const sumOf = (name) =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
      (sum, [, value]) => sum + Number(value),
      0,
    );
  return {
    requests: sumOf('llm_serve_requests_ended_total'),
    tokens: sumOf('llm_serve_generation_tokens_total'),
  };
}

/** Percent of a core for each reader. */
const perReader = (round, count) => (round[count].cpu - round[0].cpu) / count;

/** Percent of a core that is paid under this load where nobody reads. */
function unreadShares({ rounds, inProcess }) {
  const rates = (read) => overRounds(rounds, (round) => read(round[0])).median;
  const tokens = rates(({ tokensPerSecond }) => tokensPerSecond);
  const requests = rates(({ requestsPerSecond }) => requestsPerSecond);
  return inProcess.map(({ unread }) => ((unread.token * tokens + unread.request * requests) / 1e9) * 100);
}

export function report(result) {
  const { rounds, inProcess } = result;
  const over = (read, digits) => show(overRounds(rounds, read), digits);
  const rows = READERS.map((count) => [
    String(count),
    over((round) => round[count].cpu, 1),
    count === 0 ? '' : over((round) => round[count].cpu / round[0].cpu, 3),
    count === 0 ? '' : `**${over((round) => perReader(round, count), 2)}**`,
    count === 0 ? '' : over((round) => round[count].snapshotsPerSecond, 1),
    count === 0 ? '' : over((round) => round[count].snapshotBytes / 1000, 1),
  ]);
  const head = ['readers', '% of a core', 'of none', '% of a core a reader', 'snapshots a second', 'kB each'];
  const cost = (who, what) => show(summarize(inProcess.map((each) => each[who][what])), 1);
  const parts = [
    ['nobody reads', cost('unread', 'token'), cost('unread', 'request')],
    ['somebody reads', cost('read', 'token'), cost('read', 'request')],
  ];
  const load = `${over((round) => round[0].requestsPerSecond, 0)} answers and ${over((round) => round[0].tokensPerSecond, 0)} tokens a second`;
  return [
    `**Under ${load}:**\n\n${table(head, rows)}`,
    `**What is noted for it, nanoseconds of CPU time:**\n\n${table(['', 'a token', 'a request'], parts)}`,
    `Where nobody reads, that is ${show(summarize(unreadShares(result)), 4)} % of a core under this load.`,
  ].join('\n\n');
}

export function targets(result) {
  const { rounds } = result;
  return [
    ...READERS.filter((count) => count > 0).map((count) =>
      target(
        `CPU for each of ${count} readers of GET /live, % of a core`,
        TARGETS.perReader,
        overRounds(rounds, (round) => perReader(round, count)),
        2,
      ),
    ),
    target(
      'CPU for GET /live where nobody reads it, % of a core',
      TARGETS.unread,
      summarize(unreadShares(result)),
      4,
    ),
  ];
}
