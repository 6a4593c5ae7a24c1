/**
 * The numbers of a target's slots, from 0: each request that runs there has one of its own, the lowest that was free. People look at
 * slots by their numbers; no decision depends on them.
 */
export class SlotNumbers {
  /** 32 numbers in each; a bit that is set is taken. */
  readonly #words: number[] = [0];

  take(): number {
    const words = this.#words;
    for (let at = 0; ; at += 1) {
      const free = ~(words[at] ?? 0);
      if (free === 0) continue;
      const lowest = free & -free;
      words[at] = ~free | lowest;
      return at * 32 + 31 - Math.clz32(lowest);
    }
  }

  get areFree(): boolean {
    return this.#words.every((word) => word === 0);
  }

  giveBack(number: number): void {
    const at = number >>> 5;
    this.#words[at] = (this.#words[at] ?? 0) & ~(1 << (number & 31));
  }
}
