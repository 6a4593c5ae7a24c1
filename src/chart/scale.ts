/** From a value to a place on an axis, with the ticks of the axis. */

export interface Axis {
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly type?: 'linear' | 'log' | undefined;
  /** Absent: round steps, or decades on a logarithmic axis. */
  readonly ticks?: readonly number[] | undefined;
  readonly format?: ((tick: number) => string) | undefined;
}

export interface Scale {
  /** A value beyond the axis is placed at its end. */
  place(value: number): number;
  readonly ticks: readonly number[];
}

/** `from` and `to` are places in the picture. */
export function createScale(
  { type = 'linear', min, max, ticks }: Omit<Axis, 'label'>,
  { from, to }: { readonly from: number; readonly to: number },
): Scale {
  const position = type === 'log' ? Math.log10 : (value: number) => value;
  const low = position(min);
  // An axis of one value has no length; that value is at its beginning.
  const length = position(max) - low || 1;
  return {
    place: (value) => from + ((position(Math.min(max, Math.max(min, value))) - low) / length) * (to - from),
    ticks: ticks ?? (type === 'log' ? decades(min, max) : roundSteps(min, max)),
  };
}

/** The end of a linear axis that begins at 0 and shows all of `values`: the next round step above the largest. */
export function roundMax(values: readonly number[]): number {
  const largest = values.reduce((most, value) => Math.max(most, value), 0);
  if (largest === 0) return 1;
  const step = roundStep(largest);
  return Number((Math.ceil(largest / step - 1e-9) * step).toPrecision(12));
}

function decades(min: number, max: number): number[] {
  const first = Math.ceil(Math.log10(min));
  const last = Math.floor(Math.log10(max));
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
}

/** Four to eight steps of 1, 2 or 5 times a power of ten. */
function roundSteps(min: number, max: number): number[] {
  if (!(max > min)) return [min];
  const step = roundStep(max - min);
  const first = Math.ceil(min / step);
  const count = Math.floor(max / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

function roundStep(length: number): number {
  const rough = length / 6;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * magnitude).find((step) => step >= rough) ?? rough;
}
