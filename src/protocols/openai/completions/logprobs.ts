/** Log-probabilities in the four lists of text completions. Owned by one choice: places in the text go on from chunk to chunk. */
import type { LikelyToken, TokenLogprob } from '../../../core/generation.ts';
import { shownLogprob, tokenText } from '../../token-text.ts';

export class TokenLists {
  /** A character may be spread over tokens: it counts with its last. */
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #offset = 0;

  render(logprobs: readonly TokenLogprob[]) {
    return {
      tokens: logprobs.map(tokenText),
      token_logprobs: logprobs.map(shownLogprob),
      top_logprobs: logprobs.map((token) => likeliest([...token.top, token])),
      text_offset: logprobs.map((token) => this.#place(token)),
    };
  }

  #place({ bytes }: LikelyToken): number {
    const offset = this.#offset;
    const characters = this.#decoder.decode(Uint8Array.from(bytes), { stream: true });
    // As the API counts: by characters, not by units of UTF-16.
    for (const _ of characters) this.#offset += 1;
    return offset;
  }
}

/** The first of those that show the same text is the likeliest. */
function likeliest(tokens: readonly LikelyToken[]): Record<string, number> {
  return Object.fromEntries(
    tokens.toReversed().map((token) => [tokenText(token), shownLogprob(token)] as const),
  );
}
