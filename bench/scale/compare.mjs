// What worker processes cost: the same gateway with one process and with two workers, in front of the same instant upstream, in
// alternating rounds: with all processes of a gateway on one core and load and upstream on the other one, and with both cores for all of
// them. Requests/s would say nothing of a larger machine; the figure to quote is the ratio of CPU time of all processes within a round.
// Then replicas that lease the slots of one upstream: how soon a further one serves while another has all slots.
import { packageVersions } from '../machine.mjs';
import { cpuOfTree, pin, treeOf } from '../process-tree.mjs';
import { withPrograms } from '../programs.mjs';
import { inRounds, overRounds, rotate } from '../rounds.mjs';
import { startOurs } from '../servers.mjs';
import { show, table } from '../statistics.mjs';
import { atMost, target } from '../targets.mjs';
import { missingValkey, startValkey, valkeyVersion } from '../valkey.mjs';
import { startWorker } from '../worker.mjs';
import { timeToJoin } from './joining.mjs';

export const perNode = true;
const CONNECTIONS = 32;
const [LOAD_CORE, SERVER_CORE] = ['0', '1'];
const BOTH = `${LOAD_CORE},${SERVER_CORE}`;
const LAYOUTS = {
  apart: { label: 'the gateway on one core', load: LOAD_CORE, server: SERVER_CORE },
  together: { label: 'both cores for all', load: BOTH, server: BOTH },
};
const PROMPT = 'What is the capital of France?';
const CALLS = {
  native: { path: '/generate', body: { prompt: PROMPT, max_tokens: 8, temperature: 0 } },
  openai: {
    path: '/v1/chat/completions',
    body: { model: 'bench', stream: true, max_tokens: 8, messages: [{ role: 'user', content: PROMPT }] },
  },
};
const CALL_LABELS = { native: 'POST /generate', openai: 'streamed chat' };
const LIMITER = ['--rate-limit.enabled', 'true', '--rate-limit.requests', '1000000'];
const SHAPES = { one: 1, two: 2 };
const TARGET = atMost(1.2);
const JOINS_WITHIN_MS = 1000;

export const whatIsMissing = missingValkey;

export async function run({ rounds, requests, node }) {
  return withPrograms(async (keep) => {
    const upstream = keep(await startWorker(new URL('../gateway/upstream.mjs', import.meta.url)));
    const load = keep(await startWorker(new URL('../load.mjs', import.meta.url)));
    const upstreamUrl = `http://127.0.0.1:${upstream.hello.port}`;
    const servers = [];
    for (const [name, workers] of Object.entries(SHAPES)) {
      const flags = [...LIMITER, '--server.workers', String(workers)];
      servers.push({ name, ...keep(await startOurs({ upstreamUrl, node, flags })) });
    }
    const measureServers = async (round) => {
      const result = {};
      for (const { name, url, pid } of rotate(servers, round)) {
        result[name] = {};
        for (const [call, { path, body }] of Object.entries(CALLS)) {
          const order = { url, path, body: JSON.stringify(body), connections: CONNECTIONS, requests };
          const { cpu } = await cpuOfTree({ pid, units: requests }, () => load.ask(order));
          result[name][call] = cpu;
        }
      }
      return result;
    };
    const measureRound = async (round) => {
      const result = {};
      for (const [layout, cores] of Object.entries(LAYOUTS)) {
        const isPinned =
          pin([upstream.pid, load.pid], cores.load) &&
          servers.every(({ pid }) => pin(treeOf(pid), cores.server));
        if (!isPinned) throw new Error('processes cannot be given cores: there is no taskset');
        result[layout] = await measureServers(round);
      }
      return result;
    };
    // Not counted: a round in which everything is compiled by then.
    await measureRound(0);
    const measured = await inRounds(rounds, measureRound);
    const valkey = keep(await startValkey());
    const join = () => timeToJoin({ valkey, node });
    for (const result of measured) result.join = await join();
    return {
      versions: { ...packageVersions(['undici'], node), store: valkeyVersion() },
      settings: { rounds, requests, connections: CONNECTIONS },
      rounds: measured,
    };
  });
}

const ratioOf = (rounds, layout, call) =>
  overRounds(rounds, ({ [layout]: { one, two } }) => two[call].total / one[call].total);

const MEASURED = Object.keys(LAYOUTS).flatMap((layout) =>
  Object.keys(CALLS).map((call) => ({ layout, call })),
);

export function report({ rounds }) {
  const rows = MEASURED.map(({ layout, call }) => {
    const over = (read) => show(overRounds(rounds, ({ [layout]: measured }) => read(measured)));
    return [
      `${CALL_LABELS[call]}, ${LAYOUTS[layout].label}`,
      over(({ one }) => one[call].total),
      over(({ two }) => two[call].total),
      over(({ two }) => two[call].control),
      `**${show(ratioOf(rounds, layout, call), 3)}**`,
    ];
  });
  const joins = ['readyMs', 'firstAnswerMs'].map((name) =>
    show(overRounds(rounds, ({ join }) => join[name])),
  );
  return [
    '**Two workers:**',
    '',
    table(['µs of CPU a request', 'one process', 'two workers', 'of it the control process', 'ratio'], rows),
    '',
    '**A replica joins**, while another one has all slots of the upstream in use:',
    '',
    table(['ms after it listens', 'it is ready', 'its first answer'], [['median of the rounds', ...joins]]),
  ].join('\n');
}

export function targets({ rounds }) {
  return [
    ...Object.keys(CALLS).map((call) =>
      target(
        `CPU of two workers, ${CALL_LABELS[call]}, against one process`,
        TARGET,
        ratioOf(rounds, call),
        3,
      ),
    ),
    target(
      'a replica that joins: its first answer after it listens, ms',
      atMost(JOINS_WITHIN_MS),
      overRounds(rounds, ({ join }) => join.firstAnswerMs),
      0,
    ),
  ];
}
