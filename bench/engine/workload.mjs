// What both sides of the engine benchmark are asked: raw prompts of about equal length, none shared between waves,
// answered greedily. Raw, so that both sides evaluate the very same tokens.
export const CONCURRENCIES = [1, 4, 16];
/** Tokens per sequence, prompt and answer together. */
export const CONTEXT_SIZE = 2048;
/** The engine's own: prompt tokens in one decode step, and one for each other sequence. */
export const batchSize = (sequences) => 64 + sequences;

const WHO = ['fisherman', 'gardener', 'clockmaker', 'baker', 'shepherd', 'painter', 'sailor', 'teacher'];
const WHERE = ['by the northern sea', 'in a village among the hills', 'at the edge of a large forest'];

export function prompts({ wave, count }) {
  return Array.from({ length: count }, (_, index) => {
    const who = WHO[(wave * 3 + index) % WHO.length];
    const where = WHERE[(wave + index) % WHERE.length];
    return `Story number ${wave * 100 + index}. Once upon a time a ${who} lived ${where}. Every morning the ${who}`;
  });
}

/** Wave 0 only warms up; wave 1 measures the rate, wave 2 the time to the first token. */
export const WARM_UP_TOKENS = 8;
export const wavesOf = ({ concurrency, tokens }) => ({
  warmUp: { prompts: prompts({ wave: 0, count: concurrency }), tokens: Math.min(tokens, WARM_UP_TOKENS) },
  rate: { prompts: prompts({ wave: 1, count: concurrency }), tokens },
  firstToken: { prompts: prompts({ wave: 2, count: concurrency }), tokens },
});
