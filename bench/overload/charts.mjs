// The simulator's goodput and the measured one over the offered load, in one chart: solid lines are simulated, dashed
// ones measured. A short run's arrivals ask for more or less than they should: a measured point stands at what they did ask for.
import { inOrder } from './scenarios/goodput.mjs';

const { lineChart } = await import('../../dist/chart/line-chart.js');
const TICKS = [0.5, 1, 1.5, 2, 2.5, 3];

export function goodputChart({ scripted, engine, label }) {
  return lineChart({
    title: `Goodput under overload, simulated and measured: ${label}`,
    subtitle: 'tokens of answers completed within their deadline; short (80 %) and long answers, 8 clients',
    x: { label: 'offered load ÷ capacity, in tokens', min: 0.4, max: 3.2, ticks: TICKS },
    y: { label: '% of calibrated capacity', min: 0, max: 120, ticks: [0, 20, 40, 60, 80, 100, 120] },
    series: [
      ...curves(scripted, { label: 'scripted backend', simulatedStyle: 4, measuredStyle: 0 }),
      ...(engine.skipped
        ? []
        : curves(engine, { label: 'embedded engine', simulatedStyle: 5, measuredStyle: 1 })),
    ],
  });
}

function curves({ curve, byLoad }, { label, simulatedStyle, measuredStyle }) {
  return [
    {
      label: `${label}, simulated`,
      style: simulatedStyle,
      points: curve.map(({ offered, tokens }) => ({ x: offered, y: tokens * 100 })),
    },
    {
      label: `${label}, measured`,
      style: measuredStyle,
      dashed: true,
      points: inOrder(byLoad).map(([, { offeredTokens, measured }]) => ({
        x: offeredTokens,
        y: measured.tokens * 100,
      })),
    },
  ];
}
