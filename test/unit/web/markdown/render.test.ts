import type { VNode } from 'preact';
import { expect, test } from 'vitest';
import { blocksOf } from '../../../../web/markdown/incremental.ts';
import { renderBlock } from '../../../../web/markdown/render.tsx';

interface Element {
  readonly tag: string;
  readonly props: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** Every element of the tree, with its text; components are not called. */
function elementsOf(node: unknown, found: Element[] = []): Element[] {
  if (Array.isArray(node)) for (const each of node) elementsOf(each, found);
  if (typeof node !== 'object' || node === null || Array.isArray(node)) return found;
  const { type, props } = node as VNode<Record<string, unknown>>;
  if (typeof type === 'string') found.push({ tag: type, props, text: textOf(props.children) });
  elementsOf(props.children, found);
  return found;
}

function textOf(node: unknown): string {
  if (typeof node === 'string' || typeof node === 'number') return String(node);
  if (Array.isArray(node)) return node.map(textOf).join('');
  if (typeof node !== 'object' || node === null) return '';
  return textOf((node as VNode<Record<string, unknown>>).props.children);
}

const elements = (text: string) => elementsOf(blocksOf(text).map(renderBlock));
const tags = (text: string) => elements(text).map(({ tag }) => tag);
const text = (markdown: string) => textOf(blocksOf(markdown).map(renderBlock));

const HOSTILE = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '<svg/onload=alert(1)>',
  '[click](javascript:alert(1))',
  '[click](JaVaScRiPt:alert(1))',
  '[click](java&#x73;cript:alert(1))',
  '[click](java\tscript:alert(1))',
  '[click](data:text/html;base64,PHNjcmlwdD4=)',
  '[click](vbscript:msgbox)',
  '[click](//evil.example)',
  '[click](/admin/reload)',
  '<javascript:alert(1)>',
  '![x](javascript:alert(1))',
  '![x](data:image/svg+xml;base64,PHN2Zy8+)',
  '![x](data:text/html,hi)',
  '[a]: javascript:alert(1)\n\n[a]',
  '- <iframe src="javascript:alert(1)">',
  '| a |\n|---|\n| <b onclick=alert(1)>x</b> |',
  '[x](https://ok.example "onmouseover=alert(1)")',
];

const ALLOWED = new Set(
  'div p h3 h4 h5 h6 ul ol li table thead tbody tr th td blockquote hr strong em del code br a img input span'.split(
    ' ',
  ),
);
const PROPS = new Set(
  'children class href title target rel src alt scope start type checked disabled key aria-label'.split(' '),
);

test.each(HOSTILE)('%s becomes no script, no unknown element, no other scheme', (markdown) => {
  for (const { tag, props } of elements(markdown)) {
    expect(ALLOWED).toContain(tag);
    for (const name of Object.keys(props)) expect(PROPS).toContain(name);
    if (tag === 'a') expect(props.href).toMatch(/^(https?:|mailto:)/);
    if (tag === 'img') expect(props.src).toMatch(/^data:image\/(png|jpe?g|gif|webp);base64,/);
  }
});

test('tags in the text are shown as they are written', () => {
  expect(text('Before <b>x</b> after')).toBe('Before <b>x</b> after');
  expect(text('<div>\n<script>x</script>\n</div>')).toContain('<script>x</script>');
});

test('links open outside, without telling where from', () => {
  const [link] = elements('[a](https://example.com/x?a=1&amp;b=2)').filter(({ tag }) => tag === 'a');
  expect(link?.props).toMatchObject({
    href: 'https://example.com/x?a=1&b=2',
    target: '_blank',
    rel: 'noopener noreferrer nofollow',
  });
});

test('images of other servers are links, those that came along are shown', () => {
  expect(tags('![cat](https://example.com/cat.png)')).not.toContain('img');
  expect(text('![cat](https://example.com/cat.png)')).toBe('Image: cat');
  expect(tags('![cat](data:image/png;base64,AAAA)')).toContain('img');
});

test('emphasis, lists, tables, tasks and entities are what they are in Markdown', () => {
  expect(tags('**a** *b* ~~c~~ `d`')).toEqual(['div', 'p', 'strong', 'em', 'del', 'code']);
  expect(elements('3. x\n4. y').find(({ tag }) => tag === 'ol')?.props.start).toBe(3);
  expect(tags('| a | b |\n|---|---|\n| 1 | 2 |')).toEqual(expect.arrayContaining(['table', 'th', 'td']));
  expect(elements('- [x] done').find(({ tag }) => tag === 'input')?.props.checked).toBe(true);
  expect(text('a &amp; b &lt;i&gt; &#8364; &unknown;')).toBe('a & b <i> € &unknown;');
});

test('what references refer to is shown, with its address as a link', () => {
  const markdown = 'As [one][1] says.\n\n[1]: https://a.example/b "A title"\n[2]: javascript:alert(1)\n';
  expect(text(markdown)).toBe('As [one][1] says.[1]: https://a.example/b "A title"[2]: javascript:alert(1)');
  const links = elements(markdown).filter(({ tag }) => tag === 'a');
  expect(links.map(({ props, text: shown }) => [props.href, shown])).toEqual([
    ['https://a.example/b', 'https://a.example/b'],
  ]);
});
