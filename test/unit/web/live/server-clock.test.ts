/** The server's clock in the Live view. */
import { expect, it } from 'vitest';
import { ServerClock } from '../../../../web/live/server-clock.ts';

it('a snapshot that is late does not turn the clock back', () => {
  const clock = new ServerClock();
  expect(clock.now(0)).toBeNaN();
  clock.heard(10_000, 100);
  clock.heard(10_250, 900);
  expect(clock.now(1_000)).toBe(10_898);
  clock.heard(10_500, 590);
  expect(clock.now(1_000)).toBe(10_910);
});

it('another server has another clock', () => {
  const clock = new ServerClock();
  clock.heard(10_000, 100);
  clock.heard(500_000, 200);
  expect(clock.now(200)).toBe(500_000);
});
