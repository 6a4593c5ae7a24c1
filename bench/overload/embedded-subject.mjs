// The embedded engine in the real executable, answering raw prompts greedily. How long it takes depends on the machine
// and on what runs beside it, so that all of its parameters are measured.
import { startExecutable } from '../executable.mjs';

const { defaultCacheDirectory } = await import('../../dist/config/environment.js');
const { ensureModel } = await import('../../dist/models/fetch.js');

const MODEL = 'smollm2-135m-instruct';
const SLOTS = 4;
const WHO = ['fisherman', 'gardener', 'clockmaker', 'baker', 'shepherd', 'painter', 'sailor', 'teacher'];
const GREEDY = { raw: true, temperature: 0, repeat_penalty: 1 };

export const embeddedSubject = {
  label: 'embedded engine',
  // Prompts are about equally long, so what one takes is in the time to the first token.
  nominal: { slots: SLOTS, promptTokenMs: 0 },
  mix: {
    lengths: [
      { share: 0.8, answerTokens: 8 },
      { share: 0.2, answerTokens: 48 },
    ],
    // As the scheduler estimates them.
    promptTokens: { min: 9, max: 11 },
  },
  bodyOf: ({ answerTokens, arrivalMs, deadlineMs }, index) => ({
    ...GREEDY,
    prompt: promptOf(index),
    max_tokens: answerTokens,
    timeout_ms: Math.round(deadlineMs - arrivalMs),
  }),
  start: () => {
    const targets = [{ backend: 'llama-cpp', model: MODEL, slots: SLOTS }];
    return startExecutable({
      flags: ['--models', JSON.stringify([{ id: MODEL, targets }]), '--rate-limit.enabled', 'false'],
    });
  },
};

/** Why the model cannot be had; undefined: it can. */
export async function whyNoModel() {
  try {
    await ensureModel(MODEL, {
      cacheDirectory: defaultCacheDirectory(),
      signal: new AbortController().signal,
      log: { debug() {}, info() {}, warn: console.warn, error: console.error },
      onProgress: () => {},
    });
    return undefined;
  } catch (error) {
    return error.message;
  }
}

/** Short, so that the answer is most of the work, and with a long story to follow. */
function promptOf(index) {
  return `Story ${index}. Once upon a time a ${WHO[index % WHO.length]}`;
}
