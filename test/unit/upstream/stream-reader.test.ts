import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineReader, type ServerSentEvent, SseReader } from '../../../src/upstream/stream-reader.ts';

describe('line reader', () => {
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
});

describe('sse reader', () => {
  function read(text: string): ServerSentEvent[] {
    const events: ServerSentEvent[] = [];
    const reader = new SseReader((event) => events.push(event));
    reader.push(Buffer.from(text));
    reader.end();
    return events;
  }

  it('joins several data lines and takes at most one blank after the colon', () => {
    expect(read('data: one\ndata:two\ndata:  three\n\n')).toEqual([{ data: 'one\ntwo\n three' }]);
  });

  it('skips comments and unknown fields, and keeps the name of an event', () => {
    expect(read(': keep-alive\n\nid: 4\nevent: ping\ndata: {}\n\ndata: next\n\n')).toEqual([
      { name: 'ping', data: '{}' },
      { data: 'next' },
    ]);
  });

  it('takes a bare error field as an event of that name', () => {
    expect(read('error: {"message":"broken"}\n\n')).toEqual([
      { name: 'error', data: '{"message":"broken"}' },
    ]);
  });

  it('gives a last event that lacks its blank line', () => {
    expect(read('data: [DONE]')).toEqual([{ data: '[DONE]' }]);
  });

  it('gives no event for blank lines alone', () => {
    expect(read('\n\n\r\n')).toEqual([]);
  });
});
