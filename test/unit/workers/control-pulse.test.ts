import { expect, it } from 'vitest';
import { ControlPulse } from '../../../src/workers/control-pulse.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function started() {
  const clock = new FakeClock();
  const changes: boolean[] = [];
  const seen = { unsentBytes: 0, asked: 0, silentTicks: 0 };
  const pulse = new ControlPulse({
    clock,
    unsentBytes: () => seen.unsentBytes,
    ask: () => {
      seen.asked += 1;
    },
    onChange: (isSilent) => changes.push(isSilent),
    onSilentTick: () => {
      seen.silentTicks += 1;
    },
  });
  return { clock, pulse, changes, seen };
}

it('asks nobody, and keeps no timer, while nothing is sent', async () => {
  const { clock, pulse, seen } = started();
  pulse.sent();
  pulse.heard();
  await clock.advance(60_000);
  expect([seen.asked, clock.pendingTimers, pulse.isStalled]).toEqual([0, 0, false]);
});

it('is stalled when nothing has come for five seconds after something was sent, and it has asked', async () => {
  const { clock, pulse, changes, seen } = started();
  pulse.sent();
  await clock.advance(4999);
  expect([pulse.isStalled, seen.asked]).toEqual([false, 1]);
  await clock.advance(1);
  expect(pulse.isStalled).toBe(true);
  await clock.advance(3000);
  expect([changes, seen.asked, seen.silentTicks]).toEqual([[true], 1, 4]);
});

it('goes on with the first word, and begins to count anew', async () => {
  const { clock, pulse, changes, seen } = started();
  pulse.sent();
  await clock.advance(5000);
  pulse.heard();
  expect([pulse.isStalled, changes]).toEqual([false, [true, false]]);
  pulse.sent();
  await clock.advance(4999);
  expect(pulse.isStalled).toBe(false);
  await clock.advance(1001);
  expect([pulse.isStalled, seen.asked]).toEqual([true, 2]);
});

it('is not stalled by what waits long, as long as its question is answered', async () => {
  const { clock, pulse, seen, changes } = started();
  pulse.sent();
  await clock.advance(1000);
  expect(seen.asked).toBe(1);
  pulse.heard();
  await clock.advance(60_000);
  expect([changes, clock.pendingTimers]).toEqual([[], 0]);
});

it('suspects nobody after a time in which its own process stood still', async () => {
  const { clock, pulse } = started();
  pulse.sent();
  clock.pass(60_000);
  await clock.advance(0);
  expect(pulse.isStalled).toBe(false);
});

it('is stalled at once by more than 8 MiB that the other side does not read', () => {
  const { pulse, seen } = started();
  seen.unsentBytes = 8 * 1024 * 1024;
  expect(pulse.isStalled).toBe(false);
  seen.unsentBytes += 1;
  expect(pulse.isStalled).toBe(true);
  seen.unsentBytes = 0;
  expect(pulse.isStalled).toBe(false);
});
