import { expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import { RunningGeneration } from '../../../src/core/sink.ts';
import { FINISH } from '../../support/fake-backend.ts';

const TEXT = { type: 'text', text: 'hi' } as const;
const GONE = new ServingError('client_gone');

/** A generation whose function waits until the test lets it go on. */
function start(run: (generation: RunningGeneration, go: Promise<void>) => Promise<void>) {
  const told: string[] = [];
  let go = () => {};
  const gone = new Promise<void>((resolve) => {
    go = resolve;
  });
  const sink = {
    event: ({ type }: { readonly type: string }) => void told.push(type),
    fail: ({ code }: ServingError) => void told.push(code),
  };
  const generation = new RunningGeneration(sink, (running) => run(running, gone));
  return { generation, told, go };
}

it('tells every event in the turn in which it comes, and nothing after the finish', async () => {
  const { generation, told, go } = start(async (running, gone) => {
    await gone;
    for (const event of [TEXT, FINISH, TEXT]) running.event(event);
    throw new ServingError('backend_error');
  });
  go();
  await generation.released;
  expect(told).toEqual(['text', 'finish']);
});

it('ends with what its function throws; what nobody foresaw is internal', async () => {
  const foreseen = start(async () => {
    throw new ServingError('backend_error');
  });
  const unforeseen = start(async () => {
    throw new TypeError('a bug');
  });
  await Promise.all([foreseen.generation.released, unforeseen.generation.released]);
  expect([foreseen.told, unforeseen.told]).toEqual([['backend_error'], ['internal']]);
});

it('tells the reason of a cancellation at once, and is released when its function has ended', async () => {
  const { generation, told, go } = start((_, gone) => gone);
  let isReleased = false;
  void generation.released.then(() => {
    isReleased = true;
  });
  generation.cancel(GONE);
  expect(told).toEqual(['client_gone']);
  await Promise.resolve();
  expect(isReleased).toBe(false);
  go();
  await generation.released;
  expect(told).toEqual(['client_gone']);
});

it('aborts, pauses and resumes what it holds', async () => {
  const held: string[] = [];
  const { generation, go } = start(async (running, gone) => {
    running.hold({
      abort: ({ code }) => held.push(code),
      pause: () => held.push('paused'),
      resume: () => held.push('resumed'),
    });
    await gone;
  });
  generation.pause();
  generation.resume();
  generation.cancel(GONE);
  generation.cancel(GONE);
  go();
  await generation.released;
  expect(held).toEqual(['paused', 'resumed', 'client_gone']);
});

it('holds nothing more once it has been cancelled', async () => {
  let refusal: unknown;
  const { generation, go } = start(async (running, gone) => {
    await gone;
    try {
      running.hold({ abort() {}, pause() {}, resume() {} });
    } catch (thrown) {
      refusal = thrown;
    }
  });
  generation.cancel(GONE);
  go();
  await generation.released;
  expect(refusal).toBe(GONE);
});

it('pauses what it takes hold of while it is paused, and whoever waits goes on with the resume', async () => {
  const held: string[] = [];
  let wentOn = false;
  const { generation, go } = start(async (running, gone) => {
    await gone;
    running.hold({ abort() {}, pause: () => held.push('paused'), resume() {} });
    await running.resumed();
    wentOn = true;
  });
  generation.pause();
  go();
  await new Promise((resolve) => setImmediate(resolve));
  expect([held, wentOn]).toEqual([['paused'], false]);
  generation.resume();
  await generation.released;
  expect(wentOn).toBe(true);
});

it('aborts the signal that something asked for', async () => {
  const signals: AbortSignal[] = [];
  const { generation, go } = start(async (running, gone) => {
    signals.push(running.signal);
    await gone;
    signals.push(running.signal);
  });
  generation.cancel(GONE);
  go();
  await generation.released;
  expect(signals.map((signal) => signal.reason)).toEqual([GONE, GONE]);
});
