// A fleet in virtual time: N replicas with the real scheduler and the real slot leases in front of servers that they share. What sharing
// gains, what it costs, what it does when something breaks, and how far it goes. A round is a seed.
import { packageVersions } from '../machine.mjs';
import { overRounds } from '../rounds.mjs';
import { show, table } from '../statistics.mjs';
import { atMost, target } from '../targets.mjs';
import { fleetCharts } from './charts.mjs';
import { AFFINITY, FAIRNESS, FAULTS, SCALE, SHARINGS, SKEW, SKEW_LOAD } from './scenarios.mjs';

const { simulateFleet } = await import('../../dist/simulation/fleet/fleet.js');

const SHARING_LABELS = {
  leases: 'leases',
  even: 'a fixed N-th for each',
  none: 'nothing shared: all for each',
};
const percent = (value) => value * 100;

export async function run({ rounds, maxReplicas }) {
  return {
    versions: packageVersions([]),
    settings: { rounds, maxReplicas },
    rounds: Array.from({ length: rounds }, (_, index) => measure(index + 1, maxReplicas)),
  };
}

function measure(seed, maxReplicas) {
  const simulate = (setup) => {
    const { servedShares, servedTokens, ...figures } = simulateFleet({ ...setup, seed }, cpuMs);
    const [heavy, ...light] = servedShares;
    const counted = {
      ...figures,
      heavyServed: heavy,
      lightServed: mean(light),
      leastServed: Math.min(...light),
    };
    return Object.fromEntries(Object.entries(counted).map(([name, value]) => [name, shortened(value)]));
  };
  const bySharing = (setup) =>
    Object.fromEntries(SHARINGS.map((sharing) => [sharing, simulate({ ...setup, sharing })]));
  return {
    skew: Object.fromEntries(SKEW.map((setup) => [setup.replicas, bySharing(setup)])),
    fairness: bySharing(FAIRNESS),
    faults: FAULTS.map(({ setup }) => simulate(setup)),
    affinity: AFFINITY.map((setup) => simulate(setup)),
    scale: SCALE.filter(({ replicas }) => replicas <= maxReplicas).map((setup) => ({
      replicas: setup.replicas,
      offeredPerSecond: setup.offeredPerSecond,
      ...simulate(setup),
    })),
  };
}

function cpuMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function shortened(value) {
  if (typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, shortened(v)]));
  return Number(value.toPrecision(5));
}

export function report({ rounds }) {
  return [
    ['One in two requests comes to one replica', skewTable(rounds)],
    ['A flood on all replicas, beside light clients', fairnessTable(rounds)],
    ['What breaks', faultsTable(rounds)],
    ['Affinity without shared state', affinityTable(rounds)],
    ['From 10 to 1,000 replicas', scaleTable(rounds)],
  ]
    .map(([title, text]) => `**${title}:**\n\n${text}`)
    .join('\n\n');
}

function skewTable(rounds) {
  const rows = SKEW.flatMap(({ replicas }) =>
    SHARINGS.map((sharing) => {
      const over = (read, digits) =>
        show(
          overRounds(rounds, ({ skew }) => read(skew[replicas][sharing])),
          digits,
        );
      return [
        `${replicas}, ${SHARING_LABELS[sharing]}`,
        over(({ failed, offered }) => percent(failed / offered), 1),
        over(({ queueMs }) => queueMs.p50),
        over(({ queueMs }) => queueMs.p99),
        over(({ hiddenMs }) => hiddenMs.p99),
        over(({ maxPresent }) => percent(maxPresent)),
        over(({ overAdmissions }) => overAdmissions),
      ];
    }),
  );
  return table(
    [
      `replicas, at ${SKEW_LOAD} of what the slots can`,
      'lost, %',
      'queue p50, ms',
      'queue p99, ms',
      'hidden in the server p99, ms',
      'at the fullest server, % of its slots',
      'let in too many',
    ],
    rows,
  );
}

function fairnessTable(rounds) {
  const rows = SHARINGS.map((sharing) => {
    const over = (read, digits) =>
      show(
        overRounds(rounds, ({ fairness }) => read(fairness[sharing])),
        digits,
      );
    return [
      SHARING_LABELS[sharing],
      over(({ lightServed }) => percent(lightServed), 1),
      over(({ leastServed }) => percent(leastServed), 1),
      over(({ heavyServed }) => percent(heavyServed), 1),
      over(({ hiddenMs }) => hiddenMs.p99),
      over(({ maxPresent }) => percent(maxPresent)),
    ];
  });
  return table(
    [
      'at twice what the slots can; tokens served of those asked for, %',
      'light clients',
      'the least of them',
      'the flood',
      'hidden in the server p99, ms',
      'at the fullest server, % of its slots',
    ],
    rows,
  );
}

function faultsTable(rounds) {
  const rows = FAULTS.map(({ label }, index) => {
    const over = (read, digits) =>
      show(
        overRounds(rounds, ({ faults }) => read(faults[index])),
        digits,
      );
    return [
      label,
      over(({ goodput }) => percent(goodput), 1),
      over(({ failed, offered }) => percent(failed / offered), 1),
      over(({ queueMs }) => queueMs.p99),
      over(({ overAdmissions }) => overAdmissions),
    ];
  });
  return table(
    ['20 replicas', 'goodput, % of the slots', 'lost, %', 'queue p99, ms', 'let in too many'],
    rows,
  );
}

function affinityTable(rounds) {
  const rows = AFFINITY.map(({ replicas }, index) => [
    String(replicas),
    show(
      overRounds(rounds, ({ affinity }) => percent(affinity[index].sameServer)),
      1,
    ),
    show(overRounds(rounds, ({ affinity }) => affinity[index].queueMs.p99)),
  ]);
  return table(['replicas, 8 servers', 'came to the server of the request before, %', 'queue p99, ms'], rows);
}

function scaleTable(rounds) {
  const rows = rounds[0].scale.map(({ replicas, offeredPerSecond }, index) => {
    const over = (read, digits) =>
      show(
        overRounds(rounds, ({ scale }) => read(scale[index])),
        digits,
      );
    return [
      replicas.toLocaleString('en'),
      offeredPerSecond.toLocaleString('en'),
      over(({ failed, offered }) => percent(failed / offered), 2),
      over(({ queueMs }) => queueMs.p50),
      over(({ queueMs }) => queueMs.p99),
      over(({ overAdmissions }) => overAdmissions),
      over(({ renewalsPerSecond }) => renewalsPerSecond),
      over(({ decisionUs }) => decisionUs, 1),
    ];
  });
  return table(
    [
      'replicas',
      'requests/s offered',
      'lost, %',
      'queue p50, ms',
      'queue p99, ms',
      'let in too many',
      'renewals/s at the store',
      'µs of CPU a request, scheduler and leases',
    ],
    rows,
  );
}

export function targets({ rounds }) {
  const all = overRounds(rounds, ({ skew, faults, scale, fairness, affinity }) =>
    [
      ...Object.values(skew).map(({ leases }) => leases),
      ...[fairness.leases, ...faults, ...affinity, ...scale],
    ].reduce((sum, { overAdmissions }) => sum + overAdmissions, 0),
  );
  return [target('let in too many by leases, in the simulated fleet', atMost(0), all, 0)];
}

export function charts({ rounds }) {
  return fleetCharts(rounds, SHARING_LABELS);
}
