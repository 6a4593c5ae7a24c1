/** What a request may use of a model, in what limits count: tokens, and money by prices. Pure. */
import type { EstimatedAmounts } from '../limits/limit-plan.ts';
import type { Prices } from '../usage/prices.ts';

/** What a request may use of a model. `size` is only asked where something limits it. */
export interface ReservedWork {
  readonly model: string;
  readonly size: () => ReservedSize;
}

interface ReservedSize {
  readonly promptTokens: number;
  readonly answerTokens: number;
  /** Absent: the client has asked for all of `answerTokens` itself. */
  readonly guessed?: GuessedSize | undefined;
}

interface GuessedSize {
  /** The part of `answerTokens` that the client has asked for itself. */
  readonly askedAnswerTokens: number;
  readonly answers: number;
}

export function reservedAmounts(
  model: string,
  { promptTokens, answerTokens, guessed }: ReservedSize,
  prices: Pick<Prices, 'costNano'>,
): EstimatedAmounts {
  const withAnswerOf = (completionTokens: number) => ({
    tokens: promptTokens + completionTokens,
    costNano: prices.costNano(model, { promptTokens, cachedTokens: 0, completionTokens }),
  });
  const expected = withAnswerOf(answerTokens);
  if (guessed === undefined) return { expected };
  const { askedAnswerTokens, answers } = guessed;
  return { expected, guessed: { asked: withAnswerOf(askedAnswerTokens), answers } };
}
