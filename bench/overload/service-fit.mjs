// What a request takes once it has its slot, from answers: the simulator's parameters of the backend that gave them. Pure.
import { sum } from '../simulate/measures.mjs';
import { percentile } from '../statistics.mjs';

/** Least squares through what they took; what a token of the prompt takes is known. */
export function fitService(answers, { slots, promptTokenMs }) {
  const points = answers.map(({ upstreamMs, promptTokens, answerTokens }) => ({
    x: answerTokens - 1,
    y: upstreamMs - promptTokens * promptTokenMs,
  }));
  const mean = (read) => sum(points, read) / points.length;
  const [meanX, meanY] = [mean(({ x }) => x), mean(({ y }) => y)];
  const variance = mean(({ x }) => (x - meanX) ** 2);
  if (!(variance > 0)) throw new Error('the answers have all the same length, or there are none');
  const tokenMs = mean(({ x, y }) => (x - meanX) * (y - meanY)) / variance;
  return { slots, firstTokenMs: meanY - tokenMs * meanX, promptTokenMs, tokenMs };
}

/** Medians by the length that was asked for, and what the way there and back takes beside it. */
export function describeAnswers(answers, lengths) {
  const median = (values) => percentile(values, 0.5);
  const byLength = lengths.map(({ answerTokens }) =>
    median(
      answers.filter((answer) => answer.answerTokens === answerTokens).map((answer) => answer.upstreamMs),
    ),
  );
  const aroundMs = median(answers.map(({ sentAtMs, endedAtMs, totalMs }) => endedAtMs - sentAtMs - totalMs));
  return { byLength, aroundMs, count: answers.length };
}
