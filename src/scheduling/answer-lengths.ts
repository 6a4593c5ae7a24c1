/**
 * How long a model's answers are, learned from all of them, those that were cut off included: at each length, how many of the answers of
 * late that came so far ended there (Kaplan and Meier's estimate, each part of it forgetting by itself). One that was cut off says only
 * that it came so far: it counts against an end before that, and for nothing beyond. So no client makes answers look shorter by having its
 * own cut off, nor longer than it let them become. Pure; owns what was learned.
 */

/** A step of lengths is the last one times the fourth root of 2: 19 % more. Within it a length is the mean of those that ended there. */
const STEPS_PER_DOUBLING = 4;
/** Up to 2 ** 24 tokens: longer than any answer. */
const STEPS = 24 * STEPS_PER_DOUBLING;
/** Of what came so far the last 100 or so count: the newest has a weight of 1 / 50. */
const REMEMBERED = 50;
const MOST = 0.9;
/** Less is a rounding error. */
const NONE_LEFT = 1e-9;

export class AnswerLengths {
  /** Of each step: answers that came so far, up to REMEMBERED. */
  readonly #came = new Float64Array(STEPS);
  /** The part of them that ended there, of late. */
  readonly #endedShare = new Float64Array(STEPS);
  /** Those that ended there, up to REMEMBERED, and how long they were. */
  readonly #ended = new Float64Array(STEPS);
  readonly #endedLength = new Float64Array(STEPS);
  #longest = 0;
  #hasWhole = false;
  #isKnown = true;
  #most = 0;
  #mean = 0;

  /** Nine of ten are at most as long; undefined: there were none. */
  get most(): number | undefined {
    this.#know();
    return this.#longest === 0 && !this.#hasWhole ? undefined : this.#most;
  }

  /** Undefined: none came whole. */
  get mean(): number | undefined {
    this.#know();
    return this.#hasWhole ? this.#mean : undefined;
  }

  add(length: number, isWhole: boolean): void {
    const came = this.#came;
    const endedShare = this.#endedShare;
    const last = stepOf(length);
    for (let step = 0; step <= last; step += 1) {
      let count = came[step] as number;
      if (count < REMEMBERED) {
        count += 1;
        came[step] = count;
      }
      const share = endedShare[step] as number;
      // What is long ago is not made smaller for ever.
      if (share !== 0) endedShare[step] = share < NONE_LEFT ? 0 : share - share / count;
    }
    if (length > this.#longest) this.#longest = length;
    this.#isKnown = false;
    if (isWhole) this.#end(length, last);
  }

  #end(length: number, step: number): void {
    this.#hasWhole = true;
    this.#endedShare[step] = (this.#endedShare[step] as number) + 1 / (this.#came[step] as number);
    const ended = Math.min(REMEMBERED, (this.#ended[step] as number) + 1);
    const usual = this.#endedLength[step] as number;
    this.#ended[step] = ended;
    this.#endedLength[step] = usual + (length - usual) / ended;
  }

  /** Made once for an answer, and only if it is asked for. */
  #know(): void {
    if (this.#isKnown) return;
    this.#isKnown = true;
    const endedShare = this.#endedShare;
    let left = 1;
    let mean = 0;
    let most: number | undefined;
    const furthest = stepOf(this.#longest);
    for (let step = 0; step <= furthest && left > NONE_LEFT; step += 1) {
      const share = endedShare[step] as number;
      if (share === 0) continue;
      const ending = left * share;
      const length = this.#endedLength[step] as number;
      mean += ending * length;
      left -= ending;
      if (most === undefined && left <= 1 - MOST + NONE_LEFT) most = length;
    }
    // Of what all were cut off before, nothing is known but that it is at least as long as the longest.
    this.#mean = mean + Math.max(0, left) * this.#longest;
    this.#most = most ?? this.#longest;
  }
}

function stepOf(length: number): number {
  return length <= 1 ? 0 : Math.min(STEPS - 1, Math.floor(STEPS_PER_DOUBLING * Math.log2(length)));
}
