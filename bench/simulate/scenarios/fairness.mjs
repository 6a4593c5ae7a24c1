// Four clients that always have twice as many requests waiting as there are slots, with answers of different lengths:
// how evenly the tokens are shared.
import { show, summarize, table } from '../../statistics.mjs';
import { CONTESTANTS } from '../contestants/catalog.mjs';
import { jobSource, seedOf } from '../jobs.mjs';
import { jainIndex, sum } from '../measures.mjs';
import { BACKEND } from '../service.mjs';
import { simulate } from '../simulation.mjs';

export const FAIRNESS_ENTRANTS = ['ours', 'fifo', 'barrier'];
const MEAN_ANSWER_TOKENS = [16, 64, 128, 256];
const SPREAD = 0.5;
const MAX_ANSWER_TOKENS = 256;
const DEADLINE_MS = 300_000;
const WARM_UP_MS = 2 * 60_000;
/** A client that was refused does not ask again at once. */
const RETRY_MS = 1000;
export const JAIN_TARGET = 0.95;

export const VARIANTS = {
  exact: { label: 'max_tokens set to what the answer has', maxTokens: 'exact' },
  unset: { label: 'max_tokens not set', maxTokens: 'unset' },
};

export function measure({ seed, measuredMinutes }) {
  const overVariants = (name) =>
    Object.fromEntries(
      Object.entries(VARIANTS).map(([variant, { maxTokens }]) => [
        variant,
        measureOne({ create: CONTESTANTS[name].create, maxTokens, seed, measuredMinutes }),
      ]),
    );
  return Object.fromEntries(FAIRNESS_ENTRANTS.map((name) => [name, overVariants(name)]));
}

/** Tokens of prompts and answers: what the scheduler shares in. */
function measureOne({ create, maxTokens, seed, measuredMinutes }) {
  const untilMs = WARM_UP_MS + measuredMinutes * 60_000;
  const sources = new Map(
    MEAN_ANSWER_TOKENS.map((tokens, index) => [`mean_${tokens}`, source(tokens, index)]),
  );
  function source(answerTokens, index) {
    const mix = {
      lengths: [{ share: 1, answerTokens, atMost: MAX_ANSWER_TOKENS }],
      promptTokens: { min: 16, max: 128 },
    };
    const client = {
      name: `mean_${answerTokens}`,
      mix,
      spread: SPREAD,
      deadlineMs: DEADLINE_MS,
      maxTokens,
    };
    return jobSource(client, seedOf(seed, index));
  }
  const { records } = simulate({
    backend: BACKEND,
    createContestant: create,
    // Were one to hold every slot, twice as many of its requests would still wait.
    jobs: [...sources.values()].flatMap(({ job }) => Array.from({ length: 3 * BACKEND.slots }, () => job(0))),
    follow: ({ job, outcome }, now) => {
      const at = outcome === 'completed' ? now : now + RETRY_MS;
      return at < untilMs ? [sources.get(job.client).job(at)] : [];
    },
  });
  const tokens = [...sources.keys()].map((name) =>
    sum(
      records.filter(
        ({ job, endedAtMs }) => job.client === name && endedAtMs >= WARM_UP_MS && endedAtMs < untilMs,
      ),
      ({ job, servedMs, answerTokens }) => (servedMs > 0 ? job.promptTokens + answerTokens : 0),
    ),
  );
  const all = sum(tokens, (amount) => amount);
  const refused = records.filter(({ outcome }) => outcome !== 'completed').length / records.length;
  return { jain: jainIndex(tokens), shares: tokens.map((amount) => amount / all), refused };
}

export function report(rounds) {
  const row = (name, variant) => {
    const figures = rounds.map((round) => round[name][variant]);
    return [
      name === 'ours' ? `${CONTESTANTS[name].label}, ${VARIANTS[variant].label}` : CONTESTANTS[name].label,
      show(summarize(figures.map(({ jain }) => jain)), 3),
      ...MEAN_ANSWER_TOKENS.map((_, index) =>
        show(summarize(figures.map(({ shares }) => shares[index] * 100)), 0),
      ),
    ];
  };
  return [
    table(
      ['', 'Jain index', ...MEAN_ANSWER_TOKENS.map((tokens) => `answers of ${tokens}: % of tokens`)],
      // Only the scheduler looks at max_tokens at all.
      [row('ours', 'exact'), row('ours', 'unset'), row('fifo', 'exact'), row('barrier', 'exact')],
    ),
    `Target: a Jain index of at least ${JAIN_TARGET}; 1 is an equal share for all.`,
  ].join('\n\n');
}
