import { expect, it } from 'vitest';
import { FakeClock } from '../../support/fake-clock.ts';

it('moves on with a timer for less time than its numbers can tell, so that what waits for a moment comes to it', async () => {
  const clock = new FakeClock();
  clock.pass(1740.0000000000068);
  const beganAt = clock.now();
  let looks = 0;
  const look = (): void => {
    looks += 1;
    if (clock.now() === beganAt && looks < 100) clock.schedule(1e-13, look);
  };
  look();
  await clock.advance(1);
  expect(looks).toBe(2);
});
