/**
 * Questions to the engine that are not answered yet, in their order. The engine gets one at a time: each keeps it from all
 * else, so what comes meanwhile, pings among it, has its turn before the next. Owns how much waits: it is bounded.
 */
import { ServingError } from '../../core/errors.ts';
import type { Question } from './messages.ts';

const MOST_WAITING_BYTES = 4 * 1024 * 1024;

export class QuestionQueue {
  readonly #sizes = new Map<number, number>();
  #bytes = 0;

  /** The one that the engine has, or is to have next. */
  get first(): number | undefined {
    for (const id of this.#sizes.keys()) return id;
    return undefined;
  }

  /** Where nothing waits, any length is taken. */
  refusal(question: Question): ServingError | undefined {
    if (this.#bytes === 0 || this.#bytes + sizeOf(question) <= MOST_WAITING_BYTES) return undefined;
    return new ServingError('queue_full', {
      message: 'Too much text waits to be tokenized for this model. Send the request again a little later.',
      retryAfterSeconds: 1,
    });
  }

  add(id: number, question: Question): void {
    const bytes = sizeOf(question);
    this.#sizes.set(id, bytes);
    this.#bytes += bytes;
  }

  has(id: number): boolean {
    return this.#sizes.has(id);
  }

  /** Numbers of other orders are none of its own. */
  delete(id: number): void {
    this.#bytes -= this.#sizes.get(id) ?? 0;
    this.#sizes.delete(id);
  }
}

/** About as long as the message to the engine. */
function sizeOf(question: Question): number {
  if (question.type === 'detokenize') return question.tokens.length * 8;
  const { input, tools } = question;
  if (input.kind === 'text') return input.prompt.length;
  return input.kind === 'tokens' ? input.tokens.length * 8 : JSON.stringify({ input, tools }).length;
}
