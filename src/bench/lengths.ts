/** How long prompts and answers are: fixed, uniform in a range, normal, or log-normal. In tokens. */
import type { RandomSource } from './random.ts';
import { UsageError } from './read-option.ts';

export type LengthSpec =
  | { readonly kind: 'fixed'; readonly tokens: number }
  | { readonly kind: 'uniform'; readonly min: number; readonly max: number }
  /** `deviation` in tokens. */
  | { readonly kind: 'normal'; readonly mean: number; readonly deviation: number }
  /** `sigma`: the deviation of the logarithm. */
  | { readonly kind: 'lognormal'; readonly median: number; readonly sigma: number };

export const LENGTH_FORMS =
  '128, 64-256, normal:128,32 (mean, deviation) or lognormal:128,0.5 (median, sigma)';
const MAX_TOKENS = 1_000_000;

export function parseLength(text: string, option: string): LengthSpec {
  const wrong = () => new UsageError(`${option} is "${text}"; write ${LENGTH_FORMS}.`);
  const whole = (digits = '') => {
    const tokens = Number(digits);
    if (!Number.isInteger(tokens) || tokens < 1 || tokens > MAX_TOKENS) throw wrong();
    return tokens;
  };
  const [, fixed] = /^(\d+)$/.exec(text) ?? [];
  if (fixed !== undefined) return { kind: 'fixed', tokens: whole(fixed) };
  const [, from, to] = /^(\d+)-(\d+)$/.exec(text) ?? [];
  if (from !== undefined) {
    const [min, max] = [whole(from), whole(to)];
    if (min > max) throw wrong();
    return { kind: 'uniform', min, max };
  }
  const [, kind, middle, spread] = /^(normal|lognormal):(\d+),(\d+(?:\.\d+)?)$/.exec(text) ?? [];
  if (kind === 'normal') return { kind, mean: whole(middle), deviation: Number(spread) };
  if (kind === 'lognormal') return { kind, median: whole(middle), sigma: Number(spread) };
  throw wrong();
}

/** At least 1. */
export function drawLength(spec: LengthSpec, random: RandomSource): number {
  switch (spec.kind) {
    case 'fixed':
      return spec.tokens;
    case 'uniform':
      return random.integer(spec.min, spec.max);
    case 'normal':
      return bounded(spec.mean + spec.deviation * random.normal());
    case 'lognormal':
      return bounded(spec.median * Math.exp(spec.sigma * random.normal()));
    default:
      throw spec satisfies never;
  }
}

export function lengthText(spec: LengthSpec): string {
  switch (spec.kind) {
    case 'fixed':
      return String(spec.tokens);
    case 'uniform':
      return `${spec.min}-${spec.max}`;
    case 'normal':
      return `normal:${spec.mean},${spec.deviation}`;
    case 'lognormal':
      return `lognormal:${spec.median},${spec.sigma}`;
    default:
      throw spec satisfies never;
  }
}

function bounded(tokens: number): number {
  return Math.min(MAX_TOKENS, Math.max(1, Math.round(tokens)));
}
