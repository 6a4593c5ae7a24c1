/**
 * Events of a streamed answer that cannot be read. One that cannot have held a part of the answer is skipped. Any other would leave
 * a gap in the answer that nobody sees, so the answer is broken there. Owned by one generation.
 */
import { ServingError } from '../core/errors.ts';

/** So many in a row are no answer any more. */
const MAX_IN_A_ROW = 3;
/**
 * A short line of printable characters, such as `ping`. The parts of an answer come in JSON objects: whatever is lost of one, a brace
 * or a quotation mark is left, in this event or in the one before it.
 */
const WORD = /^[^{}"\p{C}]{0,64}$/u;

export class MalformedEvents {
  readonly #onMalformed: (() => void) | undefined;
  #inARow = 0;

  constructor(onMalformed: (() => void) | undefined) {
    this.#onMalformed = onMalformed;
  }

  /** An event could be read. */
  readable(): void {
    this.#inARow = 0;
  }

  /** `isComplete`: the answer has ended, so that nothing of it can be lost. Throws where the answer is broken by the event. */
  skip(
    data: string,
    { isComplete, cause }: { readonly isComplete: boolean; readonly cause?: unknown },
  ): void {
    this.#onMalformed?.();
    this.#inARow += 1;
    if (isComplete || (this.#inARow < MAX_IN_A_ROW && WORD.test(data))) return;
    throw new ServingError('backend_error', {
      message: 'The model’s backend answered something that is not JSON.',
      failure: 'garbage',
      cause,
    });
  }
}
