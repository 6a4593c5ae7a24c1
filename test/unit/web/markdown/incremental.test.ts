import { expect, test } from 'vitest';
import { type Block, blocksOf, IncrementalMarkdown, textOf } from '../../../../web/markdown/incremental.ts';

const DOCUMENT = `# Title

A paragraph with **bold** and
a second line.

- one
- two
  - nested

  still two
1. first
2. second

| a | b |
|---|---|
| 1 | 2 |

\`\`\`js
const x = 1;

\`\`
not the end
\`\`\`\`

> quoted
> more

    indented code

<div>html</div>

As [one][1] and [2] say.

[1]: https://a.example "A"
[2]: https://b.example
[2]: https://c.example

Last words`;

/** What is shown, without how it was divided. */
function shown(blocks: readonly Block[]): string {
  return blocks
    .map((block) => {
      if (block.kind === 'code') return `code ${block.language}: ${block.pieces.join('')}`;
      return block.kind === 'plain' ? block.text : `${block.token.type}: ${block.token.raw.trim()}`;
    })
    .join('\n');
}

function inPieces(text: string, size: number): IncrementalMarkdown {
  const markdown = new IncrementalMarkdown();
  for (let at = 0; at < text.length; at += size) markdown.push(text.slice(at, at + size));
  return markdown;
}

test.each([1, 2, 3, 7, 50, 10_000])('in pieces of %i characters it ends as the whole text does', (size) => {
  const markdown = inPieces(DOCUMENT, size);
  markdown.end();
  expect(markdown.open).toEqual([]);
  expect(shown(markdown.sections.flat())).toBe(shown(blocksOf(DOCUMENT)));
  expect(shown(markdown.sections.flat())).toContain('code js: const x = 1;');
});

test('a closed block stays the same value while more text arrives', () => {
  const markdown = new IncrementalMarkdown();
  markdown.push('First.\n\nSecond.\n\nThird');
  const [first] = markdown.sections.flat();
  markdown.push(' goes on.\n\n- a list\n\nFourth');
  expect(markdown.sections.flat()[0]).toBe(first);
});

test('full sections stay the same array', () => {
  const markdown = new IncrementalMarkdown();
  markdown.push('word\n\n'.repeat(200));
  const [first, second] = markdown.sections;
  markdown.push('more\n\n'.repeat(200));
  expect(markdown.sections[0]).toBe(first);
  expect(markdown.sections[1]).toBe(second);
});

const LONG: Readonly<Record<string, string>> = {
  paragraph: 'some words of a paragraph that never ends '.repeat(5_000),
  word: 'x'.repeat(200_000),
  list: '- an item of a long list\n'.repeat(8_000),
  code: `\`\`\`\n${'let line = 1;\n'.repeat(15_000)}`,
  quote: '> a line of a quote\n'.repeat(10_000),
  table: `| a | b |\n|---|---|\n${'| 1 | 2 |\n'.repeat(20_000)}`,
  brackets: '['.repeat(100_000),
  stars: '*a '.repeat(50_000),
  emoji: '👋🏽'.repeat(40_000),
};

test.each(Object.entries(LONG))(
  'a %s without an end is closed in parts: what is parsed again stays short',
  (_, text) => {
    const markdown = inPieces(text, 500);
    const open = markdown.open.map((block) => (block.kind === 'token' ? block.token.raw.length : 0));
    expect(Math.max(0, ...open)).toBeLessThan(13_000);
    markdown.end();
    const blocks = markdown.sections.flat();
    const letters = (shownText: string) => shownText.replace(/[^\p{L}\p{N}[👋*]/gu, '').length;
    // Nothing of it is lost: each block has its own text.
    const total = blocks
      .map((block) =>
        block.kind === 'code'
          ? block.pieces.join('')
          : block.kind === 'plain'
            ? block.text
            : block.token.type === 'list'
              ? (block.token as unknown as { items: { raw: string }[] }).items.map(({ raw }) => raw).join('')
              : block.token.raw,
      )
      .reduce((sum, part) => sum + letters(part), 0);
    expect(total).toBe(letters(text));
  },
);

test('a fence that has begun shows its code at once, and its language', () => {
  const markdown = inPieces('Look:\n\n```python\nprint(1)\nprint(2', 3);
  expect(markdown.open).toEqual([
    { kind: 'code', language: 'python', pieces: ['print(1)\n', 'print(2'], complete: false },
  ]);
});

test.each([
  ['> '.repeat(600), 1],
  ['- '.repeat(1_900), 1],
  [`${'- '.repeat(600)}\n`, 2],
  ['* - '.repeat(800), 1],
  ['>'.repeat(1_840), 1],
  [`${'1. '.repeat(500)}x\n`, 3],
])('what nests deeper than anybody reads is shown as it is written: %#', (line, times) => {
  const text = `before\n\n${line.repeat(times)}\n\nafter`;
  const grown = new IncrementalMarkdown();
  for (let at = 0; at < text.length; at += 3) grown.push(text.slice(at, at + 3));
  grown.end();
  const kinds = grown.sections
    .flat()
    .map((block) => (block.kind === 'token' ? block.token.type : block.kind));
  expect(kinds).toEqual(['paragraph', 'plain', 'paragraph']);
  expect(grown.sections.flat().map(textOf).join('').replaceAll(/\s/g, '')).toBe(text.replaceAll(/\s/g, ''));
});

test('a long line after a short paragraph is there from its first character on', () => {
  const words = Array.from({ length: 1_500 }, (_, at) => `word${at}`);
  const grown = new IncrementalMarkdown();
  for (const piece of ['before\n\n', ...words.map((word) => `${word} `)]) grown.push(piece);
  grown.end();
  const text = grown.sections.flat().map(textOf).join(' ');
  expect(text.match(/word\d+/g)).toEqual(words);
});

test('quotes and lists as people nest them are read', () => {
  expect(blocksOf('> > > - 1. deep').map((block) => block.kind)).toEqual(['token']);
  expect(blocksOf('-----------------').map((block) => block.kind)).toEqual(['token']);
});
