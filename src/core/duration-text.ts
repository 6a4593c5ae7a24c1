/** A length of time as people read it: three digits that matter, and the unit that fits. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** `0 ms`, `1.7 ms`, `96 ms`, `1.25 s`, `12.3 s`, `2 min 5 s`, `3 h 20 min`. Below 0, which only a changed clock brings: `0 ms`. */
export function durationText(milliseconds: number): string {
  const shown = Math.max(0, milliseconds);
  // The bounds are where a figure would be rounded up to one with a digit more.
  if (shown < 0.05) return '0 ms';
  if (shown < 9.95) return `${shown.toFixed(1)} ms`;
  if (shown < 999.5) return `${Math.round(shown)} ms`;
  if (shown < 9_995) return `${(shown / SECOND).toFixed(2)} s`;
  if (shown < 59_950) return `${(shown / SECOND).toFixed(1)} s`;
  return shown < HOUR - SECOND / 2 ? inParts(shown, MINUTE, SECOND) : inParts(shown, HOUR, MINUTE);
}

const UNITS: Readonly<Record<number, string>> = { [HOUR]: 'h', [MINUTE]: 'min', [SECOND]: 's' };

function inParts(milliseconds: number, large: number, small: number): string {
  const smalls = Math.round(milliseconds / small);
  const perLarge = large / small;
  const rest = smalls % perLarge;
  const whole = `${Math.floor(smalls / perLarge)} ${UNITS[large]}`;
  return rest === 0 ? whole : `${whole} ${rest} ${UNITS[small]}`;
}
