// A long prompt arrives beside three running streams: how long their readers wait for a token meanwhile, and what that
// care costs the prompt, against the same prompt on an idle engine.
import { setTimeout as delay } from 'node:timers/promises';
import { median, percentile } from '../statistics.mjs';
import { longText } from './workload.mjs';

const STREAMS = 3;
const PROMPT_TOKENS = 1500;
const STREAM_TOKENS = 900;
/** Gaps without the prompt: the measure of what is usual. */
const UNDISTURBED_MS = 2500;

export async function measureBesideStreams(side, { salt }) {
  const alone = await firstToken(side, longText({ tokens: PROMPT_TOKENS, salt: salt * 2 + 1 }));
  const leave = new AbortController();
  const tokenTimes = Array.from({ length: STREAMS }, () => []);
  const streams = tokenTimes.map((times, index) =>
    side
      .streamOne({
        prompt: `Story ${salt}-${index}. Once upon a time`,
        tokens: STREAM_TOKENS,
        onToken: (at) => times.push(at),
        signal: leave.signal,
      })
      .catch(() => {}),
  );
  await delay(UNDISTURBED_MS);
  const arrivedAt = performance.now();
  const beside = await firstToken(side, longText({ tokens: PROMPT_TOKENS, salt: salt * 2 + 2 }));
  const readAt = performance.now();
  leave.abort();
  await Promise.all(streams);
  const gaps = (from, to) => tokenTimes.flatMap((times) => gapsBetween(times, from, to));
  const usual = gaps(0, arrivedAt);
  const during = gaps(arrivedAt, readAt);
  return {
    usualGapMs: median(usual),
    medianGapMs: median(during),
    p99GapMs: percentile(during, 0.99),
    longestGapMs: Math.max(...during),
    firstTokenAloneMs: alone,
    firstTokenBesideMs: beside,
  };
}

async function firstToken(side, prompt) {
  const { answers } = await side.stream({ prompts: [prompt], tokens: 2 });
  return answers[0].firstTokenMs;
}

function gapsBetween(times, from, to) {
  const gaps = [];
  for (let index = 1; index < times.length; index += 1) {
    // The first token comes after a prompt of its own.
    if (index > 1 && times[index] > from && times[index] <= to) gaps.push(times[index] - times[index - 1]);
  }
  return gaps;
}
