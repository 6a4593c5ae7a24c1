/**
 * The comparison of test/engine/exactness.test.ts by itself: what a real server answered is evaluated “again” with as much
 * noise as processors show (0.002 with AVX2, 0.008 to 0.15 with Intel’s AMX), in the plain evaluation and in the engine’s
 * alike; and with the mistakes that an engine could make.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { disagreement, type EngineAnswer, type PlainAnswer, type Scored, toleranceOf } from './exactness.ts';

interface Recorded {
  readonly name: string;
  readonly promptTokens: readonly number[];
  readonly logprobs: readonly Scored[];
}

const { answers: recorded } = JSON.parse(
  readFileSync(new URL('../fixtures/greedy/llama-server.json', import.meta.url), 'utf8'),
) as { readonly answers: readonly Recorded[] };
const END = 2;

/** Numbers between −1 and 1, the same for the same seed. */
function noiseOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** The same places on kernels that sum up otherwise: values move, and with them who is likeliest. */
function evaluatedWith(noise: () => number, places: readonly Scored[], amplitude: number): Scored[] {
  return places.map(({ top }) => {
    const moved = top
      .map(([token, logprob]) => [token, Math.min(0, logprob + amplitude * noise())] as const)
      .sort(([, a], [, b]) => b - a);
    const [token, logprob] = moved[0] as readonly [number, number];
    return { token, logprob, top: moved };
  });
}

/** The tokens that `plain` chose, on other kernels. */
function scoredAgain(noise: () => number, plain: readonly Scored[], amplitude: number): Scored[] {
  return evaluatedWith(noise, plain, amplitude).map(({ top }, place) => {
    const { token } = plain[place] as Scored;
    return { token, logprob: top.find(([id]) => id === token)?.[1] as number, top };
  });
}

interface Compared {
  readonly plain: PlainAnswer;
  readonly engine: EngineAnswer;
}

function machine(amplitude: number): readonly Compared[] {
  return recorded.map(({ name, promptTokens, logprobs }, index) => {
    const noise = noiseOf(index + 1);
    const scored = evaluatedWith(noise, logprobs, amplitude);
    const again = scoredAgain(noise, scored, amplitude);
    const engine = { scored: evaluatedWith(noise, logprobs, amplitude), ended: false };
    return { plain: { name, promptTokens, scored, again, endTokens: [END] }, engine };
  });
}

/** What a mistake of the engine would do to its answers; how many of them are found out. */
function found(amplitude: number, mistake: (engine: EngineAnswer, index: number) => EngineAnswer): number {
  const all = machine(amplitude);
  const tolerance = toleranceOf(all.map(({ plain }) => plain));
  return all.filter(({ plain, engine }, index) => disagreement(plain, mistake(engine, index), tolerance))
    .length;
}

const AMPLITUDES = [0, 0.002, 0.008, 0.05, 0.15];

describe.each(AMPLITUDES)('on kernels that move log-probabilities by up to %d', (amplitude) => {
  it('accepts what is the same but for the kernels', () => {
    const all = machine(amplitude);
    const tolerance = toleranceOf(all.map(({ plain }) => plain));
    const refused = all.map(({ plain, engine }) => disagreement(plain, engine, tolerance));
    expect(refused.filter((refusal) => refusal !== undefined)).toEqual([]);
  });

  it('rejects answers that are shifted by a token', () => {
    const shifted = found(amplitude, ({ scored, ended }) => ({ scored: scored.slice(1), ended }));
    expect(shifted).toBe(recorded.length);
  });

  it('rejects answers of another sequence', () => {
    const all = machine(amplitude);
    const swapped = found(amplitude, (_, index) => (all[(index + 1) % all.length] as Compared).engine);
    expect(swapped).toBe(recorded.length);
  });

  it('rejects a token that is not the likeliest of its own place, as with a temperature or a penalty', () => {
    const second = ({ top }: Scored) => {
      const [token, logprob] = top[1] as readonly [number, number];
      return { token, logprob, top };
    };
    const sampled = found(amplitude, ({ scored, ended }) => ({
      scored: scored.map((one, place) => (place === 0 ? second(one) : one)),
      ended,
    }));
    expect(sampled).toBe(recorded.length);
  });

  it('rejects an answer that ends too soon', () => {
    const cut = found(amplitude, () => ({ scored: [], ended: true }));
    expect(cut).toBe(recorded.length);
  });
});

it('accepts another token where the plain evaluation has the two nearly alike, and looks no further', () => {
  const place = (first: number, second: number): Scored => ({
    token: 10,
    logprob: first,
    top: [
      [10, first],
      [11, second],
      [12, -9],
    ],
  });
  const scored = [place(-0.69, -0.7), place(-0.1, -3)];
  const plain = { name: '', promptTokens: [1], scored, again: scored, endTokens: [END] };
  const swap = (one: Scored): Scored => ({
    token: 11,
    logprob: one.logprob,
    top: [
      [11, one.logprob],
      [10, one.logprob],
      [12, -9],
    ],
  });
  const tolerance = toleranceOf([plain]);
  const elsewhere = { token: 99, logprob: -5, top: [[99, -5]] } as const;
  expect(
    disagreement(plain, { scored: [swap(scored[0] as Scored), elsewhere], ended: false }, tolerance),
  ).toBe(undefined);
  expect(
    disagreement(
      plain,
      { scored: [scored[0] as Scored, swap(scored[1] as Scored)], ended: false },
      tolerance,
    ),
  ).toMatch(/^token 1: /);
});
