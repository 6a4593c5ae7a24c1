// How long a backend with a slot for each request takes for one of them, and what it can serve in all.

/** Eight slots at 50 tokens a second each. */
export const BACKEND = { slots: 8, firstTokenMs: 50, promptTokenMs: 0.5, tokenMs: 20 };

export function firstTokenMs(backend, { promptTokens }) {
  return backend.firstTokenMs + promptTokens * backend.promptTokenMs;
}

export function serviceMs(backend, job) {
  return firstTokenMs(backend, job) + (job.answerTokens - 1) * backend.tokenMs;
}

/** Tokens of the answer that are there once a job has been served for `servedMs`. */
export function answeredTokens(backend, job, servedMs) {
  const sinceFirstMs = servedMs - firstTokenMs(backend, job);
  if (sinceFirstMs < 0) return 0;
  return Math.min(job.answerTokens, 1 + Math.floor(sinceFirstMs / backend.tokenMs));
}

/** Of a mix of lengths: requests per second and tokens of answers per second with every slot always in use. */
export function capacity(backend, { lengths, promptTokens }) {
  const mean = (read) => lengths.reduce((sum, length) => sum + length.share * read(length), 0);
  const meanPrompt = (promptTokens.min + promptTokens.max) / 2;
  const meanServiceMs = mean(({ answerTokens }) =>
    serviceMs(backend, { answerTokens, promptTokens: meanPrompt }),
  );
  const requestsPerSecond = (backend.slots * 1000) / meanServiceMs;
  return { requestsPerSecond, tokensPerSecond: requestsPerSecond * mean(({ answerTokens }) => answerTokens) };
}
