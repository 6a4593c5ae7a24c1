// Four addresses that always have twice as many requests under way as there are slots, with answers of different
// lengths: how evenly they get tokens, by the usage in their answers.
import { jobSource, seedOf } from '../../simulate/jobs.mjs';
import { jainIndex, sum } from '../../simulate/measures.mjs';
import { table } from '../../statistics.mjs';

const ANSWER_TOKENS = [8, 16, 32, 64];
const WARM_UP_MS = 3000;
const DEADLINE_MS = 120_000;
const JOBS = 100;
const SEED = 11;
const nameOf = (tokens) => `answers_of_${tokens}`;
export const CLIENT_NAMES = ANSWER_TOKENS.map(nameOf);

export async function measure({ load, url, subject, addresses, service: { slots }, seconds }) {
  const jobs = ANSWER_TOKENS.flatMap((answerTokens, index) => {
    const mix = { ...subject.mix, lengths: [{ share: 1, answerTokens }] };
    const client = { name: nameOf(answerTokens), mix, deadlineMs: DEADLINE_MS };
    const source = jobSource(client, seedOf(SEED, index));
    return Array.from({ length: JOBS }, () => source.job(0));
  });
  const fromMs = Math.min(WARM_UP_MS, (seconds * 1000) / 2);
  const toMs = fromMs + seconds * 1000;
  const answers = await load.ask({
    url,
    addresses,
    inFlight: 2 * slots,
    durationMs: toMs,
    requests: jobs.map((job) => ({ client: job.client, body: JSON.stringify(subject.bodyOf(job)) })),
  });
  const failed = answers.find(({ status }) => status !== 200);
  if (failed) throw new Error(`a client that waits was answered with ${failed.status} ${failed.code}`);
  const tokens = CLIENT_NAMES.map((name) =>
    sum(
      answers.filter(
        ({ index, endedAtMs }) => jobs[index].client === name && endedAtMs >= fromMs && endedAtMs < toMs,
      ),
      ({ promptTokens, answerTokens }) => promptTokens + answerTokens,
    ),
  );
  return { jain: jainIndex(tokens), tokens };
}

export function report({ jain, tokens }) {
  const all = sum(tokens, (amount) => amount);
  return table(
    ['Jain index', ...ANSWER_TOKENS.map((count) => `answers of ${count}: % of tokens`)],
    [[jain.toFixed(3), ...tokens.map((amount) => ((amount / all) * 100).toFixed(1))]],
  );
}
