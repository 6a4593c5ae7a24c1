// What scheduling does under overload: the real scheduler and what else one might do, simulated under the same loads.
// A round is a seed; every contestant gets the same requests in it.
import { packageVersions } from '../machine.mjs';
import { simulationCharts } from './charts.mjs';
import * as aborts from './scenarios/aborts.mjs';
import * as bimodal from './scenarios/bimodal.mjs';
import * as conversations from './scenarios/conversations.mjs';
import * as fairness from './scenarios/fairness.mjs';
import * as flood from './scenarios/flood.mjs';
import * as overload from './scenarios/overload.mjs';
import * as priorities from './scenarios/priorities.mjs';
import { BACKEND } from './service.mjs';
import { shortened } from './shortened.mjs';

const SCENARIOS = {
  overload: { ...overload, title: 'Overload: 8 equal clients, deadline 10 s' },
  flood: { ...flood, title: 'A flood beside light clients: queue times of what was started' },
  fairness: { ...fairness, title: 'Fairness: 4 clients that always have requests waiting' },
  bimodal: { ...bimodal, title: 'Short answers among long ones at 0.8 × capacity: arrival to end' },
  aborts: { ...aborts, title: 'Three of ten requests aborted, at 1.5 × capacity' },
  priorities: { ...priorities, title: 'Priorities at 1.5 and 3 × capacity, deadline 60 s' },
  conversations: { ...conversations, title: 'Conversations, 4 slots that cache prefixes: overtaking' },
};

export async function run({ rounds, measuredMinutes }) {
  const measureRound = (seed) =>
    Object.fromEntries(
      Object.entries(SCENARIOS).map(([name, { measure }]) => [name, measure({ seed, measuredMinutes })]),
    );
  return {
    versions: packageVersions([]),
    settings: { rounds, measuredMinutes, ...BACKEND },
    rounds: Array.from({ length: rounds }, (_, index) => shortened(measureRound(index + 1))),
  };
}

export function report({ rounds }) {
  return Object.entries(SCENARIOS)
    .map(
      ([name, scenario]) => `### ${scenario.title}\n\n${scenario.report(rounds.map((round) => round[name]))}`,
    )
    .join('\n\n');
}

export function charts({ rounds }) {
  return simulationCharts(rounds);
}
