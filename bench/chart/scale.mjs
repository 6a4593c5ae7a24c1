// From a value to a place on an axis, with the ticks of the axis. Pure.

/** `{ type: 'linear' | 'log', min, max, ticks? }`; `from` and `to` are places in the picture. */
export function createScale({ type = 'linear', min, max, ticks }, { from, to }) {
  const position = type === 'log' ? Math.log10 : (value) => value;
  const [low, high] = [position(min), position(max)];
  return {
    place: (value) => {
      const within = Math.min(max, Math.max(min, value));
      return from + ((position(within) - low) / (high - low)) * (to - from);
    },
    ticks: ticks ?? (type === 'log' ? decades(min, max) : roundSteps(min, max)),
  };
}

function decades(min, max) {
  const first = Math.ceil(Math.log10(min));
  const last = Math.floor(Math.log10(max));
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
}

/** Four to eight steps of 1, 2 or 5 times a power of ten. */
function roundSteps(min, max) {
  const rough = (max - min) / 6;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * magnitude).find((candidate) => candidate >= rough);
  const first = Math.ceil(min / step);
  const count = Math.floor(max / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}
