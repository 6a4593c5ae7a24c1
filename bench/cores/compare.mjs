// What further workers bring on a machine that has cores for them: one process, then two, four and eight workers, and two servers that know
// nothing of each other, in front of the same instant upstream, in alternating rounds. Load, upstream and gateways have cores of their
// own, so here requests/s say something, and CPU time per request is that of processes that need not wait for each other's core.

import { availableParallelism } from 'node:os';
import { packageVersions } from '../machine.mjs';
import { cpuOfTrees, pin, treesOf } from '../process-tree.mjs';
import { withPrograms } from '../programs.mjs';
import { inRounds, overRounds, rotate } from '../rounds.mjs';
import { CALL_LABELS, CALLS, startAround, startGateways } from '../scale/gateways.mjs';
import { show, table } from '../statistics.mjs';
import { atMost, target } from '../targets.mjs';

export const perNode = true;
const LEAST_CORES = 12;
const LOADS = 4;
const LOAD_CORES = `0-${LOADS - 1}`;
const UPSTREAM_CORE = String(LOADS);
const GATEWAY_CORES = `${LOADS + 1}-${availableParallelism() - 1}`;
/** Of each process that answers. */
const CONNECTIONS = 32;
const SLOTS = 512;
const LIMITER = [
  ...['--rate-limit.enabled', 'true', '--rate-limit.requests', '1000000'],
  ...['--rate-limit.window-seconds', '10'],
];
const SHAPES = {
  one: { label: 'one process', servers: 1, workers: 1 },
  two: { label: 'two workers', servers: 1, workers: 2 },
  separate: { label: 'two servers that share nothing', servers: 2, workers: 1 },
  four: { label: 'four workers', servers: 1, workers: 4 },
  eight: { label: 'eight workers', servers: 1, workers: 8 },
};
/** Two workers with the clients that the one process has, too. */
const MEASUREMENTS = [
  ...Object.keys(SHAPES).map((shape) => ({ name: shape, shape })),
  { name: 'twoAsOne', shape: 'two', connections: CONNECTIONS },
];
const TARGET = atMost(1.2);

export const whatIsMissing = () =>
  availableParallelism() < LEAST_CORES
    ? `it needs ${LEAST_CORES} cores, and there are ${availableParallelism()}`
    : undefined;

export async function run({ rounds, requests, node }) {
  return withPrograms(async (keep) => {
    const { upstream, loads, upstreamUrl } = await startAround({ keep, loads: LOADS });
    const gateways = await startGateways({
      keep,
      shapes: SHAPES,
      upstreamUrl,
      node,
      target: { slots: SLOTS },
      flags: LIMITER,
    });
    const isPinned =
      pin([upstream.pid], UPSTREAM_CORE) &&
      pin(
        loads.map(({ pid }) => pid),
        LOAD_CORES,
      ) &&
      pin(
        Object.values(gateways).flatMap(({ pids }) => treesOf(pids)),
        GATEWAY_CORES,
      );
    if (!isPinned) throw new Error('processes cannot be given cores: there is no taskset');

    const measure = async ({ shape, connections }, { path, body }) => {
      const { urls, pids } = gateways[shape];
      const { servers, workers } = SHAPES[shape];
      const answering = servers * workers;
      const units = connections === undefined ? requests * answering : requests;
      const order = {
        ...{ path, body: JSON.stringify(body), requests: Math.floor(units / LOADS) },
        connections: (connections ?? CONNECTIONS * answering) / LOADS,
      };
      const ask = (load, index) => load.ask({ ...order, url: urls[index % urls.length] });
      const work = () => Promise.all(loads.map(ask));
      const { result, cpu } = await cpuOfTrees({ pids, units }, () =>
        cpuOfTrees({ pids: [upstream.pid], units }, work),
      );
      const sum = (key) => result.result.reduce((total, load) => total + load[key], 0);
      return {
        ...cpu,
        upstream: result.cpu.total,
        requestsPerSecond: sum('requestsPerSecond'),
        p50Ms: sum('p50Ms') / LOADS,
        p99Ms: Math.max(...result.result.map(({ p99Ms }) => p99Ms)),
      };
    };
    const measureRound = async (round) => {
      const measured = {};
      for (const measurement of rotate(MEASUREMENTS, round)) {
        const calls = {};
        for (const [call, how] of Object.entries(CALLS)) calls[call] = await measure(measurement, how);
        measured[measurement.name] = calls;
      }
      return measured;
    };
    // Not counted: a round in which everything is compiled by then.
    await measureRound(0);
    return {
      versions: packageVersions(['undici'], node),
      settings: { rounds, requests, connections: CONNECTIONS },
      rounds: await inRounds(rounds, measureRound),
    };
  });
}

const ratio = (rounds, call, name) =>
  overRounds(rounds, (measured) => measured[name][call].total / measured.one[call].total);

export function report({ rounds }) {
  const rows = Object.keys(CALLS).flatMap((call) =>
    Object.entries(SHAPES).map(([name, { label }]) => {
      const over = (read, digits) =>
        show(
          overRounds(rounds, (measured) => read(measured[name][call], measured.one[call])),
          digits,
        );
      return [
        `${CALL_LABELS[call]}, ${label}`,
        over(({ requestsPerSecond }) => requestsPerSecond, 0),
        over(({ requestsPerSecond }, one) => requestsPerSecond / one.requestsPerSecond, 2),
        over(({ p50Ms }) => p50Ms, 2),
        over(({ p99Ms }) => p99Ms, 2),
        over(({ total }) => total, 0),
        over(({ control }) => control, 1),
        name === 'one' ? '' : `**${show(ratio(rounds, call, name), 3)}**`,
      ];
    }),
  );
  const head = ['', 'requests/s', 'of one process', 'p50, ms', 'p99, ms'];
  const cpu = ['µs of CPU a request', 'of it the first process', 'against one process'];
  const same = Object.entries(CALL_LABELS).map(
    ([call, label]) => `${label} ${show(ratio(rounds, call, 'twoAsOne'), 3)}`,
  );
  return [
    table([...head, ...cpu], rows),
    '',
    `Two workers with the ${CONNECTIONS} connections of the one process, so that each has half of its load: ${same.join(', ')} times its CPU time.`,
  ].join('\n');
}

export function targets({ rounds }) {
  return Object.entries(CALL_LABELS).map(([call, label]) =>
    target(
      `CPU of two workers on cores of their own, ${label}, against one process`,
      TARGET,
      ratio(rounds, call, 'two'),
      3,
    ),
  );
}
