// What worker processes cost: the same gateway with one process, with two workers, and as two servers that know nothing of each other,
// each with half of the clients, in front of the same instant upstream, in alternating rounds: with all processes of a gateway on one core and load and upstream on the other one, and with both cores for all of
// them. Requests/s would say nothing of a larger machine; the figure to quote is the ratio of CPU time of all processes within a round.
// With as many clients as the one process has, each of two has half of its load; with twice as many, as much as it.
// Then what clients see of workers and replicas at a rate that they carry, by `llm-serve bench`. Then replicas that lease the slots of one upstream: how soon a further one serves while another has all slots.
import { packageVersions } from '../machine.mjs';
import { cpuOfTrees, pin, treesOf } from '../process-tree.mjs';
import { withPrograms } from '../programs.mjs';
import { inRounds, overRounds, rotate } from '../rounds.mjs';
import { show, table } from '../statistics.mjs';
import { atMost, target } from '../targets.mjs';
import { missingValkey, startValkey, valkeyVersion } from '../valkey.mjs';
import { RATE_PER_SECOND, startDriven } from './driven.mjs';
import { CALL_LABELS, CALLS, startAround, startGateways } from './gateways.mjs';
import { timeToJoin } from './joining.mjs';

export const perNode = true;
const CONNECTIONS = 32;
const [LOAD_CORE, SERVER_CORE] = ['0', '1'];
const BOTH = `${LOAD_CORE},${SERVER_CORE}`;
const LAYOUTS = {
  apart: { label: 'the gateway on one core', load: LOAD_CORE, server: SERVER_CORE },
  together: { label: 'both cores for all', load: BOTH, server: BOTH },
};
const LIMITER = ['--rate-limit.enabled', 'true', '--rate-limit.requests', '1000000'];
const SHAPES = {
  one: { servers: 1, workers: 1 },
  two: { servers: 1, workers: 2 },
  separate: { servers: 2, workers: 1 },
};
const LOADS = 2;
/** Which gateway is measured with how many connections, over all its processes together. */
const MEASUREMENTS = {
  one: { shape: 'one', connections: CONNECTIONS },
  two: { shape: 'two', connections: CONNECTIONS },
  separate: { shape: 'separate', connections: CONNECTIONS },
  twoAsLoaded: { shape: 'two', connections: 2 * CONNECTIONS },
  separateAsLoaded: { shape: 'separate', connections: 2 * CONNECTIONS },
};
/** Two processes with the clients of one; and each of them with as many as that one. */
const COMPARISONS = [
  { two: 'two', separate: 'separate', label: `${CONNECTIONS} connections` },
  { two: 'twoAsLoaded', separate: 'separateAsLoaded', label: `${CONNECTIONS} for each process` },
];
const TARGET = atMost(1.2);
const JOINS_WITHIN_MS = 1000;

export const whatIsMissing = missingValkey;

export async function run({ rounds, requests, seconds, node }) {
  return withPrograms(async (keep) => {
    const { upstream, loads, upstreamUrl } = await startAround({ keep, loads: LOADS });
    const gateways = await startGateways({ keep, shapes: SHAPES, upstreamUrl, node, flags: LIMITER });
    const measureGateways = async (round) => {
      const result = {};
      for (const [name, { shape, connections }] of rotate(Object.entries(MEASUREMENTS), round)) {
        const { urls, pids } = gateways[shape];
        result[name] = {};
        for (const [call, { path, body }] of Object.entries(CALLS)) {
          const order = { path, body: JSON.stringify(body) };
          const half = { connections: connections / LOADS, requests: requests / LOADS };
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
            Object.values(gateways).flatMap(({ pids }) => treesOf(pids)),
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
    const layout = { seconds, cores: LAYOUTS.apart };
    const driven = await startDriven({
      ...{ keep, valkey, node, ...layout },
      upstream: { url: upstreamUrl, pid: upstream.pid },
    });
    await driven(0);
    for (const [round, result] of measured.entries()) result.driven = await driven(round);
    const join = () => timeToJoin({ valkey, node });
    for (const result of measured) result.join = await join();
    return {
      versions: { ...packageVersions(['undici'], node), store: valkeyVersion() },
      settings: { rounds, requests, connections: CONNECTIONS, seconds },
      rounds: measured,
    };
  });
}

const ratioOf = (rounds, { layout, call, comparison: { two } }) =>
  overRounds(rounds, ({ [layout]: measured }) => measured[two][call].total / measured.one[call].total);

const MEASURED = COMPARISONS.flatMap((comparison) =>
  Object.keys(LAYOUTS).flatMap((layout) =>
    Object.keys(CALLS).map((call) => ({
      ...{ layout, call, comparison },
      label: `${CALL_LABELS[call]}, ${LAYOUTS[layout].label}, ${comparison.label}`,
    })),
  ),
);
/** Results that are kept from before may lack the later comparisons. */
const measuredIn = (rounds) =>
  MEASURED.filter(({ layout, comparison: { two } }) => rounds.every(({ [layout]: of }) => two in of));
const DRIVEN_LABELS = {
  one: 'one process',
  two: 'two workers',
  replicas: 'two replicas that share limits and slots',
};

export function report({ rounds }) {
  const rows = measuredIn(rounds).map((which) => {
    const { layout, call, comparison } = which;
    const over = (read) => show(overRounds(rounds, ({ [layout]: measured }) => read(measured)));
    return [
      which.label,
      over(({ one }) => one[call].total),
      over((of) => of[comparison.two][call].total),
      over((of) => of[comparison.two][call].control),
      `**${show(ratioOf(rounds, which), 3)}**`,
      over((of) => of[comparison.separate][call].total),
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
    ...drivenPart(rounds),
    '**A replica joins**, while another one has all slots of the upstream in use:',
    '',
    table(['ms after it listens', 'it is ready', 'its first answer'], [['median of the rounds', ...joins]]),
  ].join('\n');
}

function drivenPart(rounds) {
  if (!rounds.every(({ driven }) => driven !== undefined)) return [];
  const rows = Object.entries(DRIVEN_LABELS).map(([name, label]) => {
    const over = (key, digits) =>
      show(
        overRounds(rounds, ({ driven }) => driven[name][key]),
        digits,
      );
    const late = rounds.filter(({ driven }) => driven[name].clientProblem !== '').length;
    return [
      late === 0 ? label : `${label} (the client was too slow in ${late} of ${rounds.length} rounds)`,
      over('cpu', 0),
      ...['ttftP50Ms', 'ttftP99Ms', 'e2eP50Ms', 'e2eP99Ms'].map((key) => over(key, 2)),
      over('leastShare', 2),
    ];
  });
  const times = ['first token p50, ms', 'p99', 'end to end p50, ms', 'p99'];
  const head = ['', 'µs of CPU a request', ...times, 'the least share of a server, of its even one'];
  const title = `**What clients see** at ${RATE_PER_SECOND} requests a second that come at random, by \`llm-serve bench\` on the other core:`;
  return [title, '', table(head, rows), ''];
}

export function targets({ rounds }) {
  return [
    ...measuredIn(rounds).map((which) =>
      target(`CPU of two workers, ${which.label}, against one process`, TARGET, ratioOf(rounds, which), 3),
    ),
    target(
      'a replica that joins: its first answer after it listens, ms',
      atMost(JOINS_WITHIN_MS),
      overRounds(rounds, ({ join }) => join.firstAnswerMs),
      0,
    ),
  ];
}
