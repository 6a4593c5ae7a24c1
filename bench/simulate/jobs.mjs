// The load: who sends what and when. Every client has random numbers of its own, so that another one beside it
// changes nothing about what it sends.
import { randomSource } from './random.mjs';

/** Many short answers and a few long ones, which make up four fifths of the work. */
export const BIMODAL = {
  lengths: [
    { share: 0.8, answerTokens: 16 },
    { share: 0.2, answerTokens: 256 },
  ],
  promptTokens: { min: 16, max: 128 },
};

/** Answers of 32 to 96 tokens. */
export const ALIKE = {
  lengths: Array.from({ length: 9 }, (_, index) => ({ share: 1 / 9, answerTokens: 32 + 8 * index })),
  promptTokens: BIMODAL.promptTokens,
};

/**
 * A client: `name`, `mix` (lengths and prompts), `deadlineMs` from each arrival on; and where it matters
 * `requestsPerSecond` (Poisson arrivals), `priority`, `spread` (an answer varies by that share of its length),
 * `maxTokens` ('exact': what the answer will have; 'unset'; or a number), `abortShare` (so many of its requests are given
 * up at a random moment before their deadline).
 */
export function jobSource(client, seed) {
  const random = randomSource(seed);
  const {
    name,
    mix,
    deadlineMs,
    priority = 'normal',
    spread = 0,
    maxTokens = 'exact',
    abortShare = 0,
  } = client;
  let count = 0;
  const job = (arrivalMs) => {
    count += 1;
    const { answerTokens: length, atMost = Number.POSITIVE_INFINITY } = random.choose(mix.lengths);
    const varied = Math.round(length * (1 + spread * (2 * random.next() - 1)));
    const answerTokens = Math.max(1, Math.min(atMost, varied));
    const isAborted = random.next() < abortShare;
    const abortAtMs = arrivalMs + random.next() * deadlineMs;
    return {
      id: `${name}/${count}`,
      client: name,
      priority,
      arrivalMs,
      promptTokens: random.integer(mix.promptTokens.min, mix.promptTokens.max),
      answerTokens,
      maxTokens: boundOf(maxTokens, answerTokens),
      deadlineMs: arrivalMs + deadlineMs,
      abortAtMs: isAborted ? abortAtMs : undefined,
    };
  };
  return { job, gapMs: () => random.exponential(1000 / client.requestsPerSecond) };
}

function boundOf(maxTokens, answerTokens) {
  if (maxTokens === 'exact') return answerTokens;
  return maxTokens === 'unset' ? undefined : maxTokens;
}

/** All that the clients send within `durationMs`, in the order of arrival. */
export function poissonJobs({ clients, seed, durationMs }) {
  const jobs = clients.flatMap((client, index) => {
    const source = jobSource(client, seedOf(seed, index));
    const sent = [];
    for (let at = source.gapMs(); at < durationMs; at += source.gapMs()) sent.push(source.job(at));
    return sent;
  });
  return jobs.sort((one, other) => one.arrivalMs - other.arrivalMs);
}

/** `count` clients that are alike. */
export function equalClients(count, client) {
  return Array.from({ length: count }, (_, index) => ({ ...client, name: `client_${index + 1}` }));
}

export function seedOf(seed, index) {
  return Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b);
}
