import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventReader, LineReader, type ServerSentEvent } from '../../../src/upstream/stream-reader.ts';

/** The bytes in chunks of these sizes, again and again. */
function chunksOf(text: string, sizes: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text);
  const chunks: Buffer[] = [];
  for (let start = 0; start < bytes.length; ) {
    const size = sizes[chunks.length % sizes.length] ?? 1;
    chunks.push(bytes.subarray(start, start + size));
    start += size;
  }
  return chunks;
}

const lines = fc.array(fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/[\r\n]/g, '')));
const chunkSizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 });
const backendError = expect.objectContaining({ code: 'backend_error' });

describe('LineReader', () => {
  function read(chunks: readonly Buffer[], maxLength?: number): string[] {
    const found: string[] = [];
    const reader = new LineReader((line) => found.push(line), maxLength);
    for (const chunk of chunks) reader.push(chunk);
    reader.end();
    return found;
  }

  it('gives the same lines wherever the chunks break, also inside a character', () => {
    fc.assert(
      fc.property(lines, chunkSizes, (texts, sizes) => {
        const text = texts.map((line) => `${line}\n`).join('');
        expect(read(chunksOf(text, sizes))).toEqual(texts);
      }),
    );
  });

  it('takes CRLF as a line end, also when it is split', () => {
    expect(read([Buffer.from('one\r'), Buffer.from('\ntwo\r\n')])).toEqual(['one', 'two']);
  });

  it('gives a last line that has no end', () => {
    expect(read([Buffer.from('one\ntwo')])).toEqual(['one', 'two']);
  });

  it('rejects a line that is too long before it is complete', () => {
    const reader = new LineReader(() => {}, 10);
    reader.push(Buffer.from('12345'));
    expect(() => reader.push(Buffer.from('678901'))).toThrow(backendError);
  });

  it('rejects a line that is too long and complete', () => {
    expect(() => read([Buffer.from('12345678901\n')], 10)).toThrow(backendError);
  });
});

describe('EventReader', () => {
  function read(chunks: readonly Buffer[], maxLength?: number): ServerSentEvent[] {
    const events: ServerSentEvent[] = [];
    const options = maxLength === undefined ? {} : { maxLength };
    const reader = new EventReader(({ event, data }) => events.push({ event, data }), options);
    for (const chunk of chunks) reader.push(chunk);
    reader.end();
    return events;
  }
  const readText = (text: string) => read([Buffer.from(text)]);
  const unnamed = (data: string) => ({ event: undefined, data });

  it('gives the same events wherever the chunks break, also inside a character', () => {
    fc.assert(
      fc.property(lines, chunkSizes, (texts, sizes) => {
        const text = texts.map((line) => `data: ${line}\n\n`).join('');
        expect(read(chunksOf(text, sizes))).toEqual(texts.map(unnamed));
      }),
    );
  });

  it('joins several data lines and drops at most one blank after the colon', () => {
    expect(readText('data: one\ndata:two\ndata:  three\n\n')).toEqual([unnamed('one\ntwo\n three')]);
  });

  it('ignores comments, unknown fields and a byte order mark, and keeps the name of an event', () => {
    expect(
      readText('\u{feff}: keep-alive\n\nid: 4\nretry: soon\nevent: ping\ndata: {}\n\ndata: next\n\n'),
    ).toEqual([{ event: 'ping', data: '{}' }, unnamed('next')]);
  });

  it('tells of lines that are no field, and of no others', () => {
    const malformed: string[] = [];
    const reader = new EventReader(() => {}, { onMalformed: (line) => malformed.push(line) });
    reader.push(Buffer.from('x-trace: {"a":1}\nping\n{"choices":[]}\ndata: {}\n\nnot a field: 1\n'));
    expect(malformed).toEqual(['{"choices":[]}', 'not a field: 1']);
  });

  it.each(['\n', '\r\n', '\r'])('takes %j as a line end', (end) => {
    expect(readText(`data: one${end}${end}data: two${end}${end}`)).toEqual([unnamed('one'), unnamed('two')]);
  });

  it('gives a bare error field as an event of that name', () => {
    expect(readText('error: {"message":"broken"}\n\n')).toEqual([
      { event: 'error', data: '{"message":"broken"}' },
    ]);
  });

  it('gives a last event that lacks its blank line', () => {
    expect(readText('data: [DONE]')).toEqual([unnamed('[DONE]')]);
  });

  it('gives no event for blank lines alone', () => {
    expect(readText('\n\n\r\n')).toEqual([]);
  });

  it.each([
    ['a line that never ends', 'data: 1234'],
    ['an event that never ends', 'data: 1234\n'],
    ['an event of empty lines that never ends', 'data:\n'],
  ])('rejects %s', (_, text) => {
    const reader = new EventReader(() => {}, { maxLength: 100 });
    expect(() => {
      for (let times = 0; times < 200; times += 1) reader.push(Buffer.from(text));
    }).toThrow(backendError);
  });
});
