import { expect, it } from 'vitest';
import { type ServerSentEvent, SseReader } from '../../../src/upstream/sse-reader.ts';

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
  expect(read('error: {"message":"broken"}\n\n')).toEqual([{ name: 'error', data: '{"message":"broken"}' }]);
});

it('gives a last event that lacks its blank line', () => {
  expect(read('data: [DONE]')).toEqual([{ data: '[DONE]' }]);
});

it('gives no event for blank lines alone', () => {
  expect(read('\n\n\r\n')).toEqual([]);
});
