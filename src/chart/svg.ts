/** Elements of an SVG as text. The same input gives the same bytes. */
import type { Theme } from './theme.ts';

const FONT = 'system-ui, sans-serif';

export interface Point {
  readonly x: number;
  readonly y: number;
}

type Attributes = Readonly<Record<string, string | number | undefined>>;

export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly title: string;
  readonly content: readonly string[];
}

export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? short(value) : escaped(String(value))}"`)
    .join('');
  return children.length === 0 ? `<${name}${written}/>` : `<${name}${written}>${children.join('')}</${name}>`;
}

export function text(content: string, attributes: Attributes): string {
  return element('text', attributes, escaped(content));
}

export function line(from: Point, to: Point, attributes: Attributes): string {
  return element('line', { x1: from.x, y1: from.y, x2: to.x, y2: to.y, ...attributes });
}

/** The `d` of a path through the points. */
export function pathThrough(points: readonly Point[], isClosed = false): string {
  return `M${points.map(({ x, y }) => `${short(x)} ${short(y)}`).join('L')}${isClosed ? 'Z' : ''}`;
}

/** The whole picture, with its name for those who do not see it. */
export function drawing({ width, height, title, content }: Picture, theme: Theme): string {
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: 'img',
    'font-family': FONT,
    'font-size': 13,
    fill: theme.text,
  };
  const background = element('rect', { width, height, rx: 6, fill: theme.background });
  const name = element('title', {}, escaped(title));
  const style = theme.style === undefined ? '' : element('style', {}, theme.style);
  return `${element('svg', attributes, name, style, `\n${background}\n`, content.join('\n'), '\n')}\n`;
}

/** About as wide as the font draws it; there is nothing to measure it with. */
export function textWidth(content: string, fontSize = 13): number {
  return content.length * fontSize * 0.52;
}

function short(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Safe as text and in an attribute, in SVG as in HTML. */
export function escaped(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
