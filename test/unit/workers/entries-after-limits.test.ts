/** An entry of a worker's request whose limits are being decided: it waits for a slot only if they admit it. */
import { describe, expect, it } from 'vitest';
import type { LocalControl } from '../../../src/serving/local-control.ts';
import type { SlotCaller } from '../../../src/serving/slot-queue.ts';
import { HostTime } from '../../../src/workers/link.ts';
import { type AdmittedCalls, WorkerEntries } from '../../../src/workers/worker-entries.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function entriesWith(admitted: AdmittedCalls) {
  const clock = new FakeClock();
  const waiting = new Map<string, SlotCaller>();
  const slotQueue = {
    enter: ({ id }: { readonly id: string }, caller: SlotCaller) => void waiting.set(id, caller),
    leave: (id: string) => void waiting.delete(id),
  };
  const entries = new WorkerEntries({
    clock,
    hostTime: new HostTime(clock, () => clock.now()),
    // Nothing else of it is asked here.
    control: { slotQueue } as unknown as LocalControl,
    admitted,
    send: () => {},
    setDrained: () => {},
    findTarget: () => undefined,
    knownSince: () => 0,
    onEntered: () => {},
    onSlotChange: () => {},
  });
  const enqueue = (id: string, after?: number) =>
    entries.receive({
      type: 'enqueue',
      entry: {
        id,
        model: 'm',
        client: 'c',
        priority: 'normal',
        promptTokens: 1,
        prefix: undefined,
        sizeBytes: 1,
      },
      ...(after !== undefined && { after }),
    });
  return { clock, entries, enqueue, ids: () => [...waiting.keys()] };
}

describe('an entry', () => {
  it('waits if its limits have admitted it, and not if they have refused it', () => {
    const { enqueue, ids } = entriesWith((call) => call === 1);
    enqueue('without');
    enqueue('admitted', 1);
    enqueue('refused', 2);
    expect(ids()).toEqual(['without', 'admitted']);
  });

  it('waits once a shared store has admitted it, unless it has left or its worker has ended meanwhile', async () => {
    const decide: ((isAdmitted: boolean) => void)[] = [];
    const { clock, entries, enqueue, ids } = entriesWith(
      () => new Promise((resolve) => decide.push(resolve)),
    );
    for (const [call, id] of ['admitted', 'refused', 'left', 'late'].entries()) enqueue(id, call);
    expect(ids()).toEqual([]);
    entries.receive({ type: 'leave', id: 'left' });
    decide[0]?.(true);
    decide[1]?.(false);
    decide[2]?.(true);
    await clock.settle();
    expect(ids()).toEqual(['admitted']);
    entries.end();
    decide[3]?.(true);
    await clock.settle();
    expect(ids()).toEqual([]);
  });
});
