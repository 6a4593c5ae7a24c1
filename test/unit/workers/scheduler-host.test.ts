import { expect, test } from 'vitest';
import type { Target } from '../../../src/serving/targets.ts';
import { HostTime } from '../../../src/workers/link.ts';
import { SchedulerHost } from '../../../src/workers/scheduler-host.ts';
import type { SchedulingToWorker } from '../../../src/workers/scheduling-messages.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const targetOf = (id: string, model: string) =>
  ({ id, model, health: 'ready', status: { state: 'ready' } }) as unknown as Target;

function hosting(first: Target) {
  const clock = new FakeClock();
  let all = [first];
  const host = new SchedulerHost({
    ...{ clock, hostTime: new HostTime(clock, () => 0), setDrained: () => {} },
    control: { isOnTrial: () => false } as never,
    targets: () => ({ all }) as never,
  });
  const told: SchedulingToWorker[] = [];
  const connect = (send: (message: SchedulingToWorker) => void) => void host.connect(send, {} as never);
  connect((message) => told.push(message));
  const reload = (...targets: readonly Target[]) => {
    all = [...targets];
    host.targetsChanged();
  };
  return { host, told, reload, connect };
}

test('a target whose name was given to another model before it was gone leaves what is told of that one', () => {
  const old = targetOf('gpu1', 'a');
  const { host, told, reload, connect } = hosting(old);
  reload(targetOf('gpu1', 'b'));
  told.length = 0;
  host.targetRemoved(old);
  expect(told).toEqual([]);
  const toldLater: SchedulingToWorker[] = [];
  connect((message) => toldLater.push(message));
  expect(toldLater).toMatchObject([{ type: 'targets', targets: [{ id: 'gpu1', model: 'b' }] }]);
});

test('one whose name nobody has is told to be gone', () => {
  const old = targetOf('gpu1', 'a');
  const { host, told, reload } = hosting(old);
  reload(targetOf('gpu2', 'a'));
  host.targetRemoved(old);
  expect(told.at(-1)).toEqual({ type: 'target-removed', target: 'gpu1' });
});
