import { expect, it } from 'vitest';
import { ReceivedBytes } from '../../../src/http/received-bytes.ts';

const whole = Buffer.from(Array.from({ length: 300_000 }, (_, at) => at % 251));

it.each([1, 7, 1000, 65_536, 65_537, 300_000])('gives back what came in pieces of %i bytes', (pieceBytes) => {
  const received = new ReceivedBytes();
  for (let at = 0; at < whole.length; at += pieceBytes) received.add(whole.subarray(at, at + pieceBytes));
  expect(received.length).toBe(whole.length);
  expect(received.take().equals(whole)).toBe(true);
});

it('of nothing gives nothing', () => {
  const received = new ReceivedBytes();
  received.add(Buffer.alloc(0));
  expect(received.take()).toHaveLength(0);
});

it('does not hold on to the memory of its pieces', () => {
  const received = new ReceivedBytes();
  const page = Buffer.from('abc');
  received.add(page);
  page.fill('x');
  expect(received.take().toString()).toBe('abc');
});
