/**
 * The colours of a chart. LIGHT and DARK are fixed; AUTO follows the reader's scheme by itself, in a file and inside a page, and is
 * light on paper.
 */
export interface Theme {
  readonly background: string;
  readonly text: string;
  readonly muted: string;
  readonly grid: string;
  readonly axis: string;
  /** Told apart with any kind of colour vision. */
  readonly series: readonly string[];
  /** A style sheet that the picture needs. */
  readonly style?: string;
}

export const LIGHT: Theme = {
  background: '#ffffff',
  text: '#222222',
  muted: '#555555',
  grid: '#e3e3e3',
  axis: '#888888',
  /** Okabe and Ito's; without the yellow, which cannot be seen on white. */
  series: ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00'],
};

export const DARK: Theme = {
  background: '#16191d',
  text: '#e6e8ea',
  muted: '#a9b0b7',
  grid: '#2c3238',
  axis: '#737b83',
  /** The same hues, lighter where they would be lost on black. */
  series: ['#4ba3dc', '#f0813a', '#2fc79a', '#dd9cc0', '#8fd0f5', '#f0bb3d'],
};

const PLAIN_COLOURS = ['background', 'text', 'muted', 'grid', 'axis'] as const;

/** Each colour is a variable of the style sheet, with the light colour for viewers that know no variables of that name. */
export const AUTO: Theme = {
  background: variable('background', LIGHT.background),
  text: variable('text', LIGHT.text),
  muted: variable('muted', LIGHT.muted),
  grid: variable('grid', LIGHT.grid),
  axis: variable('axis', LIGHT.axis),
  series: LIGHT.series.map((colour, index) => variable(`series-${index}`, colour)),
  style: `:root{${declarations(LIGHT)}}@media screen and (prefers-color-scheme:dark){:root{${declarations(DARK)}}}`,
};

function variable(name: string, fallback: string): string {
  return `var(--chart-${name},${fallback})`;
}

function declarations(theme: Theme): string {
  return [
    ...PLAIN_COLOURS.map((name) => `--chart-${name}:${theme[name]}`),
    ...theme.series.map((colour, index) => `--chart-series-${index}:${colour}`),
  ].join(';');
}
