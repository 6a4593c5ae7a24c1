/**
 * An answer that is dear to make and the same for all who ask. Invariant: one is made at a time, and whoever asks gets one whose making
 * began after that; so all who ask while one is being made share the next.
 */
export class SharedAnswer<Answer> {
  readonly #make: () => Promise<Answer>;
  #next: Promise<Answer> | undefined;
  /** The one that is being made, whatever became of it. */
  #made: Promise<unknown> = Promise.resolve();

  constructor(make: () => Promise<Answer>) {
    this.#make = make;
  }

  get(): Promise<Answer> {
    this.#next ??= this.#afterThisOne();
    return this.#next;
  }

  async #afterThisOne(): Promise<Answer> {
    await this.#made;
    this.#next = undefined;
    const answer = this.#make();
    const noteMade = () => {};
    this.#made = answer.then(noteMade, noteMade);
    return answer;
  }
}
