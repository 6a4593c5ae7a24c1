// Elements of an SVG as text, and what all charts look like. The same input gives the same bytes.
export const FONT = 'system-ui, sans-serif';
export const COLOURS = {
  background: '#ffffff',
  text: '#222222',
  muted: '#555555',
  grid: '#e3e3e3',
  axis: '#888888',
  /** Okabe and Ito's, told apart with any kind of colour vision; without the yellow, which white swallows. */
  series: ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00'],
};

export function element(name, attributes, ...children) {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? short(value) : escaped(value)}"`)
    .join('');
  return children.length === 0 ? `<${name}${written}/>` : `<${name}${written}>${children.join('')}</${name}>`;
}

export function text(content, { x, y, ...attributes }) {
  return element('text', { x, y, ...attributes }, escaped(content));
}

export function line(from, to, attributes) {
  return element('line', { x1: from.x, y1: from.y, x2: to.x, y2: to.y, ...attributes });
}

/** The whole picture, with its name for those who do not see it. */
export function drawing({ width, height, title, content }) {
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: 'img',
    'font-family': FONT,
    'font-size': 13,
    fill: COLOURS.text,
  };
  const background = element('rect', { width, height, rx: 6, fill: COLOURS.background });
  const name = element('title', {}, escaped(title));
  return `${element('svg', attributes, name, `\n${background}\n`, content.join('\n'), '\n')}\n`;
}

/** About as wide as the font draws it; there is nothing to measure it with. */
export function textWidth(content, fontSize = 13) {
  return content.length * fontSize * 0.52;
}

function short(value) {
  return String(Math.round(value * 10) / 10);
}

function escaped(content) {
  return String(content)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
