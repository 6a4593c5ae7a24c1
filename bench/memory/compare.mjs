// What a server keeps in memory: when it has just started, and for each stream that is open and silent. Every round has servers of
// its own. A stream's share is the growth from half as many streams to half as many again: the first ones fill room that the
// server has from answering requests before.
import { setTimeout as delay } from 'node:timers/promises';
import { packageVersions } from '../machine.mjs';
import { residentBytes } from '../process-usage.mjs';
import { withPrograms } from '../programs.mjs';
import { inRounds, overRounds, rotate } from '../rounds.mjs';
import { LABELS, startForwarder, startOurs } from '../servers.mjs';
import { show, table } from '../statistics.mjs';
import { atMost, target } from '../targets.mjs';
import { FORWARDED } from '../translation/protocols.mjs';
import { startWorker } from '../worker.mjs';

export const perNode = true;
const CONNECTIONS = 32;
const TARGETS = { idle: atMost(25), stream: atMost(12) };
const NO_LIMITS = { slots: 4096, idle_timeout_ms: 3_600_000 };
const bodyOf = (prompt) => JSON.stringify(FORWARDED.body(prompt, 8));

export async function run({ rounds, streams, settleSeconds, node }) {
  return {
    versions: packageVersions(['fastify', 'undici'], node),
    settings: { rounds, streams, settleSeconds },
    rounds: await inRounds(rounds, async (round) => {
      const result = {};
      for (const name of rotate(Object.keys(LABELS), round))
        result[name] = await measure(name, { streams, settleSeconds, node });
      return result;
    }),
  };
}

async function measure(name, { streams, settleSeconds, node }) {
  return withPrograms(async (keep) => {
    const upstream = keep(await startWorker(new URL('../holding-upstream.mjs', import.meta.url)));
    const load = keep(await startWorker(new URL('../load.mjs', import.meta.url)));
    const holder = keep(await startWorker(new URL('../holder.mjs', import.meta.url)));
    const upstreamUrl = `http://127.0.0.1:${upstream.hello.port}`;
    const { url, pid } = keep(
      name === 'ours'
        ? await startOurs({ upstreamUrl, node, target: NO_LIMITS })
        : await startForwarder(name, { upstreamUrl, node }),
    );
    const settled = async () => {
      await delay(settleSeconds * 1000);
      return residentBytes(pid);
    };
    const idle = await settled();
    const order = { url, path: FORWARDED.path };
    await load.ask({ ...order, body: bodyOf('ended'), connections: CONNECTIONS, requests: streams });
    const used = await settled();
    const holdMore = async (count) => {
      await holder.ask({ ...order, body: bodyOf('held'), count, text: '"The"' });
      return settled();
    };
    return { idle, used, half: await holdMore(streams / 2), oneAndAHalf: await holdMore(streams) };
  });
}

const idleMegabytes = ({ idle }) => idle / 1e6;
const streamKilobytes = (streams) => (side) => (side.oneAndAHalf - side.half) / streams / 1000;
const added = (rounds, read) => overRounds(rounds, ({ ours, fastify }) => read(ours) - read(fastify));

export function report({ rounds, settings: { streams } }) {
  const rows = Object.entries(LABELS).map(([name, label]) => {
    const both = (read, digits) => [
      show(
        overRounds(rounds, (round) => read(round[name])),
        digits,
      ),
      name === 'ours' ? `**${show(added(rounds, read), digits)}**` : '',
    ];
    return [label, ...both(idleMegabytes, 0), ...both(streamKilobytes(streams), 1)];
  });
  const head = [
    '',
    'idle, MB resident',
    `more than ${LABELS.fastify}`,
    `kB a stream, about ${streams.toLocaleString('en')} silent ones`,
    `more than ${LABELS.fastify}`,
  ];
  return `${table(head, rows)}\n\nTargets: ${TARGETS.idle.text} MB and ${TARGETS.stream.text} kB more.`;
}

export function targets({ rounds, settings: { streams } }) {
  const than = `more than ${LABELS.fastify}`;
  return [
    target(`idle, MB resident ${than}`, TARGETS.idle, added(rounds, idleMegabytes), 0),
    target(`an open stream, kB resident ${than}`, TARGETS.stream, added(rounds, streamKilobytes(streams)), 1),
  ];
}
