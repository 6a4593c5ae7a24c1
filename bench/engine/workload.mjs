// What all sides of the engine benchmark are asked: raw prompts of about equal length, none shared between waves,
// answered greedily. Raw, so that all sides evaluate the very same tokens.
export const CONCURRENCIES = [1, 4, 16];
export const SLOTS = 16;
/** Tokens per sequence, prompt and answer together. */
export const CONTEXT_SIZE = 2048;

const WHO = ['fisherman', 'gardener', 'clockmaker', 'baker', 'shepherd', 'painter', 'sailor', 'teacher'];
const WHERE = ['by the northern sea', 'in a village among the hills', 'at the edge of a large forest'];
/** Enough for its time to be told from that of others; its own rate is not measured. */
const FIRST_TOKEN_WAVE_TOKENS = 8;

function prompts({ wave, count }) {
  return Array.from({ length: count }, (_, index) => {
    const who = WHO[(wave * 3 + index) % WHO.length];
    const where = WHERE[(wave + index) % WHERE.length];
    return `Story number ${wave * 100 + index}. Once upon a time a ${who} lived ${where}. Every morning the ${who}`;
  });
}

/** Wave 0 only warms up; wave 1 measures the rate, wave 2 the time to the first token. `salt` makes the prompts new. */
export function wavesOf({ concurrency, tokens, salt }) {
  const wave = (number, most) => ({
    prompts: prompts({ wave: salt * 10 + number, count: concurrency }),
    tokens: most,
  });
  return {
    warmUp: wave(0, FIRST_TOKEN_WAVE_TOKENS),
    rate: wave(1, tokens),
    firstToken: wave(2, FIRST_TOKEN_WAVE_TOKENS),
  };
}

/** About `tokens` tokens of a ship’s log that is another for each `salt`. */
export function longText({ tokens, salt }) {
  const line = (day) =>
    `On day ${day} of voyage ${salt} the wind came from the ${['north', 'east', 'south', 'west'][(day + salt) % 4]} and ${day * 3} barrels were left. `;
  // A line has about 28 tokens.
  return Array.from({ length: Math.round(tokens / 28) }, (_, day) => line(day)).join('');
}
