// The charts of the simulated fleet, each by the name of its file.
import { summarize } from '../statistics.mjs';
import { SHARINGS, SKEW, SKEW_LOAD } from './scenarios.mjs';

const { lineChart } = await import('../../dist/chart/line-chart.js');

export function fleetCharts(rounds, labels) {
  return { 'fleet-skew': skewChart(rounds, labels), 'fleet-scale': scaleChart(rounds) };
}

function skewChart(rounds, labels) {
  const counts = SKEW.map(({ replicas }) => replicas);
  return lineChart({
    title: 'Replicas in front of the same 512 slots, about half of the load at one of them',
    subtitle: `simulated: load ${SKEW_LOAD} of what the slots can; requests wait 5 s at most, then they are lost`,
    x: { label: 'replicas (logarithmic)', type: 'log', min: 1.8, max: 60, ticks: counts },
    y: { label: '% of the requests lost', min: 0, max: 60, ticks: [0, 20, 40, 60] },
    series: SHARINGS.map((sharing, style) => ({
      label: labels[sharing],
      style,
      points: counts.map((replicas) => ({
        x: replicas,
        ...extremes(
          rounds.map(({ skew }) => {
            const { failed, offered } = skew[replicas][sharing];
            return (failed / offered) * 100;
          }),
        ),
      })),
    })),
  });
}

function scaleChart(rounds) {
  const steps = rounds[0].scale;
  const series = [
    { label: 'scheduler and leases, µs of CPU a request', read: ({ decisionUs }) => decisionUs },
    { label: 'queue p99, ms', read: ({ queueMs }) => queueMs.p99 },
  ];
  return lineChart({
    title: 'From 10 replicas to 1,000, each with 1,000 requests a second',
    subtitle: 'simulated: 32 servers, load 0.8 of what their slots can, one lease store',
    x: {
      label: 'replicas (logarithmic)',
      type: 'log',
      min: 8,
      max: 1250,
      ticks: steps.map(({ replicas }) => replicas),
    },
    y: { label: 'µs, ms (logarithmic)', type: 'log', min: 1, max: 1000 },
    series: series.map(({ label, read }, style) => ({
      label,
      style,
      points: steps.map(({ replicas }, index) => ({
        x: replicas,
        ...extremes(rounds.map(({ scale }) => read(scale[index]))),
      })),
    })),
  });
}

function extremes(values) {
  const { median, min, max } = summarize(values);
  return { y: median, low: min, high: max };
}
