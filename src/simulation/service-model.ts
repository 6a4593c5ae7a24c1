/**
 * How long a target takes, learnt from a record. Two parts, each with the number of requests that run there: until the first token a
 * fixed time and one per prompt token that is not cached, after it a time per token. What a request took beyond or below that is its
 * own, and stays with it in every replay.
 */
import type { Milliseconds } from '../core/clock.ts';

/** An answer that was streamed to its end. Times are absolute. */
export interface ServiceSample {
  readonly target: string;
  readonly startedAt: Milliseconds;
  readonly firstTokenAt: Milliseconds;
  readonly endedAt: Milliseconds;
  /** Without those that were cached. */
  readonly promptTokens: number;
  readonly answerTokens: number;
}

/** Something that held a slot. */
export interface Occupation {
  readonly target: string;
  readonly startedAt: Milliseconds;
  readonly endedAt: Milliseconds;
}

/** Of `running` requests, the one that is meant included. */
export interface ServiceModel {
  readonly firstMs: Milliseconds;
  readonly promptTokenMs: Milliseconds;
  /** For each other request that runs when it starts. */
  readonly firstOtherMs: Milliseconds;
  readonly tokenMs: Milliseconds;
  /** For each other request that runs meanwhile. */
  readonly tokenOtherMs: Milliseconds;
  /** The record has enough different numbers of requests at once to tell what more of them cost; if not, nothing is assumed. */
  readonly knowsGrowth: boolean;
  /** The most that the record has at once: beyond it the model extrapolates. */
  readonly seenRunning: number;
  readonly samples: number;
}

export const UNKNOWN_SERVICE: ServiceModel = {
  firstMs: 0,
  promptTokenMs: 0,
  firstOtherMs: 0,
  tokenMs: 0,
  tokenOtherMs: 0,
  knowsGrowth: false,
  seenRunning: 0,
  samples: 0,
};

export function firstTokenMs(model: ServiceModel, promptTokens: number, running: number): Milliseconds {
  return model.firstMs + model.promptTokenMs * promptTokens + model.firstOtherMs * Math.max(0, running - 1);
}

export function tokenMs(model: ServiceModel, running: number): Milliseconds {
  return model.tokenMs + model.tokenOtherMs * Math.max(0, running - 1);
}

/** How many requests held a slot of a target, and when. */
export class Occupancy {
  readonly #times: number[] = [];
  /** From that time on. */
  readonly #counts: number[] = [];
  /** Requests × milliseconds up to that time. */
  readonly #areas: number[] = [];
  readonly most: number;

  constructor(occupations: readonly Occupation[]) {
    const changes = occupations
      .flatMap(({ startedAt, endedAt }) => [
        { at: startedAt, by: 1 },
        { at: endedAt, by: -1 },
      ])
      .sort((one, other) => one.at - other.at || one.by - other.by);
    let count = 0;
    let area = 0;
    let last = changes[0]?.at ?? 0;
    let most = 0;
    for (const { at, by } of changes) {
      area += count * (at - last);
      last = at;
      count += by;
      most = Math.max(most, count);
      this.#times.push(at);
      this.#counts.push(count);
      this.#areas.push(area);
    }
    this.most = most;
  }

  at(time: Milliseconds): number {
    return this.#counts[this.#indexOf(time)] ?? 0;
  }

  /** Mean over that time. */
  mean(from: Milliseconds, to: Milliseconds): number {
    return to > from ? (this.#area(to) - this.#area(from)) / (to - from) : this.at(from);
  }

  #area(time: Milliseconds): number {
    const index = this.#indexOf(time);
    if (index < 0) return 0;
    return (this.#areas[index] ?? 0) + (this.#counts[index] ?? 0) * (time - (this.#times[index] ?? 0));
  }

  /** The last change at or before that time; -1: none. */
  #indexOf(time: Milliseconds): number {
    let low = 0;
    let high = this.#times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#times[middle] ?? 0) <= time) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Of the number that runs beside a request: where it varies less, its slope would be noise. */
const MIN_DEVIATION = 0.5;

export function fitService(samples: readonly ServiceSample[], occupancy: Occupancy): ServiceModel {
  const others = samples.map(({ startedAt, firstTokenAt, endedAt }) => ({
    atStart: Math.max(0, occupancy.at(startedAt) - 1),
    meanwhile: Math.max(0, occupancy.mean(firstTokenAt, endedAt) - 1),
  }));
  const variesAtStart = deviationOf(others.map(({ atStart }) => atStart)) >= MIN_DEVIATION;
  const knowsGrowth = deviationOf(others.map(({ meanwhile }) => meanwhile)) >= MIN_DEVIATION;
  const first = leastSquares(
    samples.map(({ startedAt, firstTokenAt, promptTokens }, index) => ({
      x: [promptTokens, variesAtStart ? (others[index]?.atStart ?? 0) : 0],
      y: firstTokenAt - startedAt,
      weight: 1,
    })),
  );
  const rest = leastSquares(
    samples.flatMap(({ firstTokenAt, endedAt, answerTokens }, index) =>
      answerTokens < 2
        ? []
        : [
            {
              x: [knowsGrowth ? (others[index]?.meanwhile ?? 0) : 0],
              y: (endedAt - firstTokenAt) / (answerTokens - 1),
              weight: answerTokens - 1,
            },
          ],
    ),
  );
  const [firstMs = 0, promptTokenMs = 0, firstOtherMs = 0] = first;
  const [perToken = 0, tokenOtherMs = 0] = rest;
  return {
    firstMs,
    promptTokenMs,
    firstOtherMs,
    tokenMs: perToken,
    tokenOtherMs,
    knowsGrowth,
    seenRunning: occupancy.most,
    samples: samples.length,
  };
}

function deviationOf(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / Math.max(1, values.length));
}

interface Observation {
  readonly x: readonly number[];
  readonly y: number;
  readonly weight: number;
}

/** Below this part of its variance, an x is explained by the others, or hardly varies: its slope would be noise. */
const MIN_VARIANCE = 1e-6;

/** The constant and a slope for each x, none of them negative: one that would be is left out. */
export function leastSquares(observations: readonly Observation[]): number[] {
  const width = (observations[0]?.x.length ?? 0) + 1;
  let used = Array.from({ length: width }, (_, index) => index);
  for (;;) {
    const solved = solve(observations, used);
    const negative = used.filter((index, at) => index > 0 && (solved[at] ?? 0) < 0);
    const isBelow = (solved[0] ?? 0) < 0 && used[0] === 0 && used.length > 1;
    if (negative.length === 0 && !isBelow) {
      const all = new Array<number>(width).fill(0);
      used.forEach((index, at) => {
        all[index] = Math.max(0, solved[at] ?? 0);
      });
      return all;
    }
    const left = negative.length > 0 ? negative : [0];
    used = used.filter((index) => !left.includes(index));
    if (used.length === 0) return new Array<number>(width).fill(0);
  }
}

/** By the normal equations, with Gauss’s elimination. */
function solve(observations: readonly Observation[], used: readonly number[]): number[] {
  const size = used.length;
  const rows = Array.from({ length: size }, () => new Array<number>(size + 1).fill(0));
  for (const { x, y, weight } of observations) {
    const values = used.map((index) => (index === 0 ? 1 : (x[index - 1] ?? 0)));
    for (let row = 0; row < size; row += 1) {
      const cells = rows[row] ?? [];
      for (let column = 0; column < size; column += 1)
        cells[column] = (cells[column] ?? 0) + weight * (values[row] ?? 0) * (values[column] ?? 0);
      cells[size] = (cells[size] ?? 0) + weight * (values[row] ?? 0) * y;
    }
  }
  const scales = rows.map((cells, index) => cells[index] ?? 0);
  const solution = new Array<number>(size).fill(0);
  const pivots: number[] = [];
  for (let column = 0; column < size; column += 1) {
    const pivot = rows[column]?.[column] ?? 0;
    if (pivot <= MIN_VARIANCE * (scales[column] ?? 0) || pivot === 0) continue;
    pivots.push(column);
    for (let row = 0; row < size; row += 1) {
      if (row === column) continue;
      const factor = (rows[row]?.[column] ?? 0) / pivot;
      for (let at = 0; at <= size; at += 1) {
        const cells = rows[row];
        if (cells !== undefined) cells[at] = (cells[at] ?? 0) - factor * (rows[column]?.[at] ?? 0);
      }
    }
  }
  for (const column of pivots) solution[column] = (rows[column]?.[size] ?? 0) / (rows[column]?.[column] ?? 1);
  return solution;
}
