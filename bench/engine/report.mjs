// The tables of the engine benchmark. Pure.
import { percentile, show, summarize, table } from '../statistics.mjs';
import { CONCURRENCIES } from './workload.mjs';

export const TARGET_RATIO = 0.95;
const FIRST_TOKEN_FACTOR = 1.1;
const GAP_FACTOR = 4;
const OURS = 'llm-serve';

export function report({ rounds }) {
  const sides = Object.keys(rounds[0]).filter((name) => name !== 'bound');
  return [
    '**Tokens per second of all requests together, and llm-serve’s share of each other’s, by round:**',
    rateTable(rounds, sides),
    `Target: at least ${TARGET_RATIO} × llama-server.`,
    '**Time to the first token, all requests sent at once, ms:**',
    firstTokenTable(rounds, sides),
    `Target: p50 at most ${FIRST_TOKEN_FACTOR} × llama-server’s.`,
    '**A prompt of about 1,500 tokens arrives beside three streams:**',
    besideTable(rounds, sides),
    `Target: no gap longer than ${GAP_FACTOR} × the usual one.`,
    '**A conversation of ten turns, time to the first token by turn, ms (prompt tokens that had to be evaluated):**',
    conversationTable(rounds, sides),
  ].join('\n\n');
}

function rateTable(rounds, sides) {
  const others = sides.filter((name) => name !== OURS);
  const hasBound = rounds[0].bound !== undefined;
  const head = [
    'requests at once',
    ...sides,
    ...(hasBound ? ['llama-batched-bench (no prompts, no HTTP)'] : []),
    ...others.map((name) => `÷ ${name}`),
  ];
  const rows = CONCURRENCIES.map((concurrency) => {
    const rateOf = (round, name) => round[name][concurrency].tokensPerSecond;
    const over = (read, digits) => show(summarize(rounds.map(read)), digits);
    return [
      String(concurrency),
      ...sides.map((name) => over((round) => rateOf(round, name))),
      ...(hasBound ? [over((round) => round.bound[concurrency])] : []),
      ...others.map((name) => over((round) => rateOf(round, OURS) / rateOf(round, name), 2)),
    ];
  });
  return table(head, rows);
}

function firstTokenTable(rounds, sides) {
  const head = ['requests at once', ...sides.flatMap((name) => [`${name} p50`, 'p99'])];
  const rows = CONCURRENCIES.map((concurrency) => [
    String(concurrency),
    ...sides.flatMap((name) => {
      const all = rounds.flatMap((round) => round[name][concurrency].firstTokenMs);
      return [0.5, 0.99].map((share) => percentile(all, share).toFixed(0));
    }),
  ]);
  return table(head, rows);
}

const BESIDE = [
  ['usual gap', 'usualGapMs'],
  ['median gap meanwhile', 'medianGapMs'],
  ['p99 gap', 'p99GapMs'],
  ['longest gap', 'longestGapMs'],
  ['first token of the prompt, alone', 'firstTokenAloneMs'],
  ['beside the streams', 'firstTokenBesideMs'],
];

function besideTable(rounds, sides) {
  const served = sides.filter((name) => rounds[0][name].besideStreams !== undefined);
  const head = ['ms', ...served];
  const rows = BESIDE.map(([label, key]) => [
    label,
    ...served.map((name) => show(summarize(rounds.map((round) => round[name].besideStreams[key])))),
  ]);
  const factor = served.map((name) =>
    show(
      summarize(
        rounds.map(({ [name]: { besideStreams } }) => besideStreams.longestGapMs / besideStreams.usualGapMs),
      ),
      1,
    ),
  );
  return table(head, [...rows, ['longest ÷ usual gap', ...factor]]);
}

function conversationTable(rounds, sides) {
  const served = sides.filter((name) => rounds[0][name].conversation !== undefined);
  const turns = rounds[0][served[0]].conversation.map((_, index) => index);
  const head = ['turn', 'prompt tokens', ...served];
  const rows = turns.map((turn) => {
    const of = (round, name) => round[name].conversation[turn];
    return [
      String(turn + 1),
      String(of(rounds[0], OURS).promptTokens),
      ...served.map((name) => {
        const evaluated = of(rounds[0], name).promptTokens - of(rounds[0], name).cachedTokens;
        return `${show(summarize(rounds.map((round) => of(round, name).firstTokenMs)))}, ${evaluated}`;
      }),
    ];
  });
  return table(head, rows);
}
