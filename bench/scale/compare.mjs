// What worker processes cost: the same gateway with one process, with two workers, and as two servers that know nothing of each other,
// each with half of the clients, in front of the same instant upstream, in alternating rounds: with all processes of a gateway on one core and load and upstream on the other one, and with both cores for all of
// them. Requests/s would say nothing of a larger machine; the figure to quote is the ratio of CPU time of all processes within a round.
// Then replicas that lease the slots of one upstream: how soon a further one serves while another has all slots.
import { packageVersions } from '../machine.mjs';
import { cpuOfTrees, pin, treesOf } from '../process-tree.mjs';
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
const SHAPES = {
  one: { servers: 1, workers: 1 },
  two: { servers: 1, workers: 2 },
  separate: { servers: 2, workers: 1 },
};
const LOADS = 2;
const TARGET = atMost(1.2);
const JOINS_WITHIN_MS = 1000;

export const whatIsMissing = missingValkey;

export async function run({ rounds, requests, node }) {
  return withPrograms(async (keep) => {
    const upstream = keep(await startWorker(new URL('../gateway/upstream.mjs', import.meta.url)));
    const loads = [];
    for (let index = 0; index < LOADS; index += 1)
      loads.push(keep(await startWorker(new URL('../load.mjs', import.meta.url))));
    const upstreamUrl = `http://127.0.0.1:${upstream.hello.port}`;
    const gateways = [];
    for (const [name, { servers, workers }] of Object.entries(SHAPES)) {
      const flags = [...LIMITER, '--server.workers', String(workers)];
      const started = [];
      for (let index = 0; index < servers; index += 1)
        started.push(keep(await startOurs({ upstreamUrl, node, flags })));
      gateways.push({ name, urls: started.map(({ url }) => url), pids: started.map(({ pid }) => pid) });
    }
    const measureGateways = async (round) => {
      const result = {};
      for (const { name, urls, pids } of rotate(gateways, round)) {
        result[name] = {};
        for (const [call, { path, body }] of Object.entries(CALLS)) {
          const order = { path, body: JSON.stringify(body) };
          const half = { connections: CONNECTIONS / LOADS, requests: requests / LOADS };
          const ask = (load, index) => load.ask({ ...order, ...half, url: urls[index % urls.length] });
          const { cpu } = await cpuOfTrees({ pids, units: requests }, () => Promise.all(loads.map(ask)));
          result[name][call] = cpu;
        }
      }
      return result;
    };
    const measureRound = async (round) => {
      const result = {};
      for (const [layout, cores] of Object.entries(LAYOUTS)) {
        const isPinned =
          pin(
            [upstream, ...loads].map(({ pid }) => pid),
            cores.load,
          ) &&
          pin(
            gateways.flatMap(({ pids }) => treesOf(pids)),
            cores.server,
          );
        if (!isPinned) throw new Error('processes cannot be given cores: there is no taskset');
        result[layout] = await measureGateways(round);
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
      over(({ separate }) => separate[call].total),
    ];
  });
  const joins = ['readyMs', 'firstAnswerMs'].map((name) =>
    show(overRounds(rounds, ({ join }) => join[name])),
  );
  return [
    '**Two workers:**',
    '',
    table(
      [
        'µs of CPU a request',
        'one process',
        'two workers',
        'of it the control process',
        'ratio',
        'two servers that share nothing',
      ],
      rows,
    ),
    '',
    '**A replica joins**, while another one has all slots of the upstream in use:',
    '',
    table(['ms after it listens', 'it is ready', 'its first answer'], [['median of the rounds', ...joins]]),
  ].join('\n');
}

export function targets({ rounds }) {
  return [
    ...MEASURED.map(({ layout, call }) =>
      target(
        `CPU of two workers, ${CALL_LABELS[call]}, ${LAYOUTS[layout].label}, against one process`,
        TARGET,
        ratioOf(rounds, layout, call),
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
