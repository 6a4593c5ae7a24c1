// The scripted backend in the real executable: eight slots that speak at a set pace, so that it can be simulated with
// the very same parameters. A prompt is estimated at exactly the tokens that it has.
import { startExecutable } from '../executable.mjs';

const MODEL = 'scripted';
/** What the target is told to take; what it takes is measured. */
const NOMINAL = { slots: 8, firstTokenMs: 10, promptTokenMs: 1, tokenMs: 10 };
/** A word is a token, and with its blank as many bytes as the estimate has for a token. */
const WORD = 'abc';

export const MIX = {
  lengths: [
    { share: 0.8, answerTokens: 8 },
    { share: 0.2, answerTokens: 64 },
  ],
  promptTokens: { min: 4, max: 24 },
};

export const scriptedSubject = {
  label: 'scripted',
  nominal: NOMINAL,
  mix: MIX,
  bodyOf: ({ promptTokens, answerTokens, arrivalMs, deadlineMs }) => ({
    prompt: Array.from({ length: promptTokens }, () => WORD).join(' '),
    max_tokens: answerTokens,
    timeout_ms: Math.round(deadlineMs - arrivalMs),
  }),
  start: () => {
    const target = {
      backend: 'scripted',
      model: MODEL,
      slots: NOMINAL.slots,
      first_token_delay_ms: NOMINAL.firstTokenMs,
      prefill_token_delay_ms: NOMINAL.promptTokenMs,
      token_delay_ms: NOMINAL.tokenMs,
      // A request's max_tokens ends its answer before this.
      tokens: Math.max(...MIX.lengths.map(({ answerTokens }) => answerTokens)),
    };
    return startExecutable({
      flags: [
        '--models',
        JSON.stringify([{ id: MODEL, targets: [target] }]),
        '--rate-limit.enabled',
        'false',
      ],
    });
  },
};
