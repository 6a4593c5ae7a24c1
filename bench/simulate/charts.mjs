// The charts of the simulation's figures, each by the name of its file.
import { summarize } from '../statistics.mjs';
import { CONTESTANTS } from './contestants/catalog.mjs';
import { FAIRNESS_ENTRANTS, JAIN_TARGET, VARIANTS } from './scenarios/fairness.mjs';
import { FLOOD_ENTRANTS, LIGHT_BOUND_MS } from './scenarios/flood.mjs';
import { LOADS, OVERLOAD_ENTRANTS } from './scenarios/overload.mjs';

const { barChart } = await import('../../dist/chart/bar-chart.js');
const { lineChart } = await import('../../dist/chart/line-chart.js');

export function simulationCharts(rounds) {
  return {
    'goodput-alike': goodputChart(rounds, {
      mix: 'alike',
      title: 'Goodput under overload, answers of 32 to 96 tokens',
    }),
    'goodput-bimodal': goodputChart(rounds, {
      mix: 'bimodal',
      title: 'Goodput under overload, answers of 16 (80 %) and 256 tokens (20 %)',
    }),
    'flood-queue-time': floodChart(rounds),
    'fairness-jain-index': fairnessChart(rounds),
  };
}

function goodputChart(rounds, { mix, title }) {
  return lineChart({
    title,
    subtitle: 'simulated: 8 slots, deadline 10 s; tokens of answers that were completed within it',
    x: { label: 'offered load ÷ capacity', min: 0.4, max: 3.1, ticks: LOADS },
    y: { label: '% of capacity', min: 0, max: 105, ticks: [0, 20, 40, 60, 80, 100] },
    series: Object.entries(OVERLOAD_ENTRANTS).map(([name, { label, style, maxTokens }]) => ({
      label,
      style,
      dashed: maxTokens !== undefined,
      points: LOADS.map((load) => ({
        x: load,
        ...extremes(rounds.map((round) => round.overload[mix][name][load].tokens * 100)),
      })),
    })),
  });
}

function floodChart(rounds) {
  const groups = [
    { label: 'light clients, p50', kind: 'light', figure: 'p50Ms' },
    { label: 'light clients, p99', kind: 'light', figure: 'p99Ms' },
    { label: 'the flood, p50', kind: 'flood', figure: 'p50Ms' },
    { label: 'the flood, p99', kind: 'flood', figure: 'p99Ms' },
  ];
  return barChart({
    title: 'Queue time beside a client that floods the queue',
    subtitle:
      'simulated: 8 slots, the flood sends 2 × capacity, each of 5 light clients 2 % of it; deadline 60 s',
    x: { label: '' },
    y: { label: 'seconds in the queue (logarithmic)', type: 'log', min: 0.03, max: 200 },
    groups: groups.map(({ label, kind, figure }) => ({
      label,
      values: Object.keys(FLOOD_ENTRANTS).map((name) =>
        extremes(rounds.map((round) => round.flood[name][kind][figure] / 1000)),
      ),
    })),
    series: Object.values(FLOOD_ENTRANTS),
    target: {
      value: LIGHT_BOUND_MS / 1000,
      label: `target for a light client's p99: ${(LIGHT_BOUND_MS / 1000).toFixed(1)} s`,
    },
    show: (seconds) => seconds.toFixed(seconds < 10 ? 2 : 0),
  });
}

function fairnessChart(rounds) {
  return barChart({
    title: 'How evenly clients with different requests share',
    subtitle:
      'simulated: 4 clients that always have requests waiting, with answers of 16, 64, 128 and 256 tokens',
    x: { label: '' },
    y: { label: 'Jain index of tokens served', min: 0, max: 1.1, ticks: [0, 0.25, 0.5, 0.75, 1] },
    groups: Object.entries(VARIANTS).map(([variant, { label }]) => ({
      label,
      values: FAIRNESS_ENTRANTS.map((name) =>
        extremes(rounds.map((round) => round.fairness[name][variant].jain)),
      ),
    })),
    series: FAIRNESS_ENTRANTS.map((name) => CONTESTANTS[name]),
    target: { value: JAIN_TARGET, label: `target: ${JAIN_TARGET}` },
    show: (index) => index.toFixed(2),
  });
}

function extremes(values) {
  const { median, min, max } = summarize(values);
  return { y: median, value: median, low: min, high: max };
}
