import { expect, test } from 'vitest';
import { EventParser } from '../../../../web/api/event-parser.ts';

const STREAM =
  '\ufeff: comment\r\nevent: snapshot\r\ndata: {"a":1}\r\n\r\ndata: two\ndata:lines\n\nid: 7\n\nevent: nothing\n\rdata: Grüße 👋\r\r';
const EVENTS = [
  { name: 'snapshot', data: '{"a":1}' },
  { name: 'message', data: 'two\nlines' },
  { name: 'message', data: 'Grüße 👋' },
];

test.each([1, 2, 3, 5, 8, 1000])(
  'events are the same however the text is cut, as in pieces of %i',
  (size) => {
    const parser = new EventParser();
    const events = [];
    for (let at = 0; at < STREAM.length; at += size) events.push(...parser.push(STREAM.slice(at, at + size)));
    expect(events).toEqual(EVENTS);
  },
);

test('an event that has not ended is not given', () => {
  const parser = new EventParser();
  expect(parser.push('data: half')).toEqual([]);
  expect(parser.push('\n')).toEqual([]);
  expect(parser.push('\n')).toEqual([{ name: 'message', data: 'half' }]);
});
