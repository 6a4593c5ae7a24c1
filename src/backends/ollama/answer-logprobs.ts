/**
 * The log-probabilities of one answer, which may come before the text that they are of. Owned by one generation. Releases
 * that do not know them are silent about it: then the first piece of the answer has none, and nothing of it is told.
 */
import type { LikelyToken, TokenLogprob } from '../../core/generation.ts';
import { asArray, asObject, asText, type Loose } from '../../upstream/lenient.ts';
import { ignoresLogprobs } from './upstream-error.ts';

export class AnswerLogprobs {
  readonly #onSilence: () => void;
  #waiting: TokenLogprob[] = [];
  #came = false;

  constructor(onSilence: () => void) {
    this.#onSilence = onSilence;
  }

  take(values: unknown): void {
    const tokens = told(values);
    this.#came ||= tokens.length > 0;
    this.#waiting.push(
      ...tokens.map((token) => ({ ...likely(token), top: told(token.top_logprobs).map(likely) })),
    );
  }

  /** Of the text that is told now. */
  ofText(): { readonly logprobs?: readonly TokenLogprob[] } {
    const logprobs = this.#waiting;
    this.forget();
    return logprobs.length === 0 ? {} : { logprobs };
  }

  /** Those that came were of a thought, or of a call. */
  forget(): void {
    this.#waiting = [];
  }

  /** Before the first piece of the answer is told. Throws. */
  refuseSilence(): void {
    if (this.#came) return;
    this.#onSilence();
    throw ignoresLogprobs();
  }
}

interface ToldToken extends Loose {
  readonly logprob: number;
}

function told(values: unknown): ToldToken[] {
  const isTold = (value: Loose): value is ToldToken => typeof value.logprob === 'number';
  return asArray(values).map(asObject).filter(isTold);
}

/** Ids are not told; nor is the text of a token that has none. */
function likely({ token, bytes, logprob }: ToldToken): LikelyToken {
  const known = Array.isArray(bytes) ? (bytes as number[]) : new TextEncoder().encode(asText(token) ?? '');
  return { bytes: [...known], logprob };
}
