/** Synthetic prompts: random common words, which are one token each to nearly every tokenizer. No two prompts are alike, so that a cache of prefixes does not flatter the server. */
import { RandomSource } from './random.ts';

const WORDS = (
  'the of and to in is you that it he was for on are as with his they at be this have from or one had by word but not what all were we ' +
  'when your can said there use an each which she do how their if will up other about out many then them these so some her would make ' +
  'like him into time has look two more write go see number no way could people my than first water been call who oil its now find long ' +
  'down day did get come made may part'
).split(' ');

/** How a text's words and the tokens that the server counts belong together: tokens = overhead + words × perWord. */
export interface Calibration {
  readonly perWord: number;
  /** What the server adds to each prompt, as its chat template. */
  readonly overhead: number;
  /** False: nothing was counted; a word is taken for a token. */
  readonly isMeasured: boolean;
}

export const UNCALIBRATED: Calibration = { perWord: 1, overhead: 0, isMeasured: false };

/** From the tokens that the server counted for texts of two lengths. */
export function calibrate(
  short: { readonly words: number; readonly tokens: number },
  long: { readonly words: number; readonly tokens: number },
): Calibration {
  const perWord = (long.tokens - short.tokens) / (long.words - short.words);
  if (!(perWord > 0.2 && perWord < 20)) return UNCALIBRATED;
  return { perWord, overhead: Math.max(0, short.tokens - short.words * perWord), isMeasured: true };
}

export function randomText(words: number, random: RandomSource): string {
  return Array.from({ length: words }, () => WORDS[random.integer(0, WORDS.length - 1)]).join(' ');
}

/** A text that the server will count as about so many tokens, at least one word. */
export function textOfTokens(
  tokens: number,
  { perWord, overhead }: Calibration,
  random: RandomSource,
): string {
  return randomText(Math.max(1, Math.round((tokens - overhead) / perWord)), random);
}

/** The prefix that requests of one run share. */
export function sharedPrefix(tokens: number, { perWord }: Calibration, seed: number): string {
  return tokens === 0 ? '' : randomText(Math.max(1, Math.round(tokens / perWord)), new RandomSource(seed));
}
