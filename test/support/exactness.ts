/**
 * Whether two evaluations of one model on one machine agree: the plain one, and that of the engine. What the same token
 * may differ by follows from the machine: its kernels give other sums for other shapes of a batch, by 0.001 on one
 * processor and by 0.15 on another (Intel’s AMX), so the plain evaluation scores its own answer twice, one token at a
 * time and in one batch, and that difference is the measure.
 */

/** A token, its log-probability, and the likeliest tokens at its place, likeliest first. */
export interface Scored {
  readonly token: number;
  readonly logprob: number;
  readonly top: readonly (readonly [token: number, logprob: number])[];
}

export interface PlainAnswer {
  readonly name: string;
  readonly promptTokens: readonly number[];
  /** Decoded one by one; with more in `top` than the engine is asked for. */
  readonly scored: readonly Scored[];
  /** The same tokens in one batch. */
  readonly again: readonly Scored[];
  /** Those with which the model ends its turn: such a one is the last of `scored`, or there is none. */
  readonly endTokens: readonly number[];
}

export interface EngineAnswer {
  /** Of each token that was told. */
  readonly scored: readonly Scored[];
  /** The model ended its turn after them. */
  readonly ended: boolean;
}

/** By how much log-probabilities may differ. */
export interface Tolerance {
  /** Any of them. */
  readonly each: number;
  /** The median of an answer. */
  readonly typical: number;
}

/** A shape of steps other than the two that were measured may do somewhat more. */
const TIMES_MEASURED = 3;
/** Where both shapes give the same sums, such as where a kernel knows only one. */
const FLOOR: Tolerance = { each: 0.02, typical: 0.005 };
/** What the engine tells at the place of a token: it is compared, and the same is measured. */
const TOLD = 3;
/** A character of several tokens is told when its last has come. */
const UNTOLD_TOKENS = 3;

/** Measured on each answer by itself: a long prompt differs by more than a short one, on some processors it alone. */
export function toleranceOf(answers: readonly PlainAnswer[]): Tolerance {
  const measured = answers
    .map(({ scored, again }) => scored.flatMap((one, place) => differences(again[place] as Scored, one)))
    .filter((each) => each.length > 0);
  if (measured.length === 0) throw new Error('Nothing was measured.');
  return {
    each: Math.max(FLOOR.each, TIMES_MEASURED * Math.max(...measured.flat())),
    typical: Math.max(FLOOR.typical, TIMES_MEASURED * Math.max(...measured.map(median))),
  };
}

/** The first thing in which they disagree; `undefined`: they agree. */
export function disagreement(
  plain: PlainAnswer,
  engine: EngineAnswer,
  tolerance: Tolerance,
): string | undefined {
  const all: number[] = [];
  for (const [place, ours] of engine.scored.entries()) {
    const theirs = plain.scored[place];
    if (theirs === undefined) return `${engine.scored.length} tokens, the plain answer has ${place}`;
    const likeliest = ours.top[0]?.[1] ?? ours.logprob;
    if (ours.logprob < likeliest) {
      return `token ${place}: ${ours.token} was chosen, which is not the likeliest of its own place`;
    }
    const found = differences(ours, theirs);
    const largest = Math.max(...found);
    if (largest > tolerance.each) return `token ${place}: ${largest} apart, ${tolerance.each} allowed`;
    all.push(...found);
    // From here on it is another text: what follows cannot be compared.
    if (ours.token !== theirs.token) return refuseChoice(place, ours, theirs, tolerance);
  }
  if (all.length > 0 && median(all) > tolerance.typical) {
    return `typically ${median(all)} apart, ${tolerance.typical} allowed`;
  }
  return refuseEnd(plain, engine, tolerance);
}

/** Two tokens that are nearly alike may change places. */
function refuseChoice(place: number, ours: Scored, theirs: Scored, { each }: Tolerance): string | undefined {
  const lead = leadOver(theirs, ours.token);
  if (lead <= each) return undefined;
  return `token ${place}: ${ours.token} instead of ${theirs.token}, which leads by ${lead}, ${each} allowed`;
}

function refuseEnd(
  plain: PlainAnswer,
  { scored, ended }: EngineAnswer,
  { each }: Tolerance,
): string | undefined {
  const told = scored.length;
  const theirs = plain.scored[told];
  if (ended && theirs !== undefined) {
    const lead = Math.min(...plain.endTokens.map((token) => leadOver(theirs, token)));
    return lead <= each ? undefined : `ended before token ${told}, which leads by ${lead}`;
  }
  const most = plain.scored.length - (plain.endTokens.includes(plain.scored.at(-1)?.token ?? -1) ? 1 : 0);
  return told >= most - UNTOLD_TOKENS ? undefined : `${told} of ${most} tokens`;
}

/** Of the chosen token and of the likeliest that `ours` tells, from what `theirs` says of the same tokens. */
function differences(ours: Scored, theirs: Scored): number[] {
  const told = [[ours.token, ours.logprob] as const, ...ours.top.slice(0, TOLD)];
  return told.map(([token, logprob]) => Math.abs(logprob - logprobOf(theirs, token)));
}

/** Of the chosen token over another; over one that is not among the likeliest it is no close one. */
function leadOver({ token, logprob, top }: Scored, other: number): number {
  if (token === other) return 0;
  const found = top.find(([id]) => id === other);
  return found === undefined ? Number.POSITIVE_INFINITY : logprob - found[1];
}

/** Of one that is not among the likeliest, what it is at most. */
function logprobOf(scored: Scored, token: number): number {
  if (token === scored.token) return scored.logprob;
  const found = scored.top.find(([id]) => id === token);
  return found?.[1] ?? scored.top.at(-1)?.[1] ?? Number.NEGATIVE_INFINITY;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
