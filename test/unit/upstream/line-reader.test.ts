import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LineReader } from '../../../src/upstream/line-reader.ts';

function read(chunks: readonly Buffer[], limitBytes?: number): string[] {
  const lines: string[] = [];
  const reader = new LineReader((line) => lines.push(line), limitBytes);
  for (const chunk of chunks) reader.push(chunk);
  reader.end();
  return lines;
}

it('gives the same lines wherever the chunks break, also inside a character', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/[\r\n]/g, ''))),
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }),
      (lines, sizes) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const chunks: Buffer[] = [];
        for (let start = 0, index = 0; start < bytes.length; index += 1) {
          const size = sizes[index % sizes.length] ?? 1;
          chunks.push(bytes.subarray(start, start + size));
          start += size;
        }
        expect(read(chunks)).toEqual(lines);
      },
    ),
  );
});

it('takes CRLF as a line end, also when it is split', () => {
  expect(read([Buffer.from('one\r'), Buffer.from('\ntwo\r\n')])).toEqual(['one', 'two']);
});

it('gives a last line that has no end', () => {
  expect(read([Buffer.from('one\ntwo')])).toEqual(['one', 'two']);
});

it('refuses a line that is too long before it is complete', () => {
  const reader = new LineReader(() => {}, 10);
  reader.push(Buffer.from('12345'));
  expect(() => reader.push(Buffer.from('678901'))).toThrow(
    expect.objectContaining({ code: 'backend_error' }),
  );
});
