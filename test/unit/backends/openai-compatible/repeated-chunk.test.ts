import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RepeatedChunk } from '../../../../src/backends/openai-compatible/repeated-chunk.ts';

const chunkOf = (content: string, space = '') =>
  `{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":${space}${JSON.stringify(content)}},"logprobs":null,"finish_reason":null}]}`;

function learned(data = chunkOf(' a'), text = ' a'): RepeatedChunk {
  const repeated = new RepeatedChunk();
  repeated.learn(data, text);
  return repeated;
}

it('reads the text of a chunk that differs in its text alone, however its JSON is spaced', () => {
  expect(learned().textOf(chunkOf(' Paris'))).toBe(' Paris');
  expect(learned(chunkOf('a', ' '), 'a').textOf(chunkOf('日本', ' '))).toBe('日本');
});

it('reads nothing before it has learned one', () => {
  expect(new RepeatedChunk().textOf(chunkOf('a'))).toBeUndefined();
});

it.each([
  ['another field', chunkOf('a').replace('"logprobs":null', '"logprobs":{}')],
  ['an end', chunkOf('a').replace('"finish_reason":null', '"finish_reason":"stop"')],
  ['another id', chunkOf('a').replace('chatcmpl-1', 'chatcmpl-2')],
  ['an escaped character', chunkOf('a\nb')],
  ['a quotation mark', chunkOf('say "a"')],
  ['no text', chunkOf('')],
  ['one field more', chunkOf('a').replace('"content":"a"', '"content":"a","tool_calls":[]')],
  ['half a chunk', chunkOf('a').slice(0, -4)],
])('leaves to the parser what has %s', (_, data) => {
  expect(learned().textOf(data)).toBeUndefined();
});

it('learns nothing from a chunk whose text is written in another way, or beside a field of the same name', () => {
  for (const [data, text] of [
    [chunkOf('é').replace('é', '\\u00e9'), 'é'],
    [chunkOf('a\tb'), 'a\tb'],
    [chunkOf(''), ''],
    ['{"meta":{"content":"a"},"choices":[{"delta":{"content":"a"}}]}', 'a'],
  ] as const)
    expect(learned(data, text).textOf(data)).toBeUndefined();
});

it('gives what the parser gives, or nothing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (text) => {
      const read = learned().textOf(chunkOf(text));
      if (read !== undefined) expect(read).toBe(text);
    }),
  );
});
