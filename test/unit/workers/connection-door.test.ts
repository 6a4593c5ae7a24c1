import { describe, expect, it } from 'vitest';
import { ConnectionDoor } from '../../../src/workers/connection-door.ts';
import type { HandedConnection } from '../../../src/workers/life-messages.ts';
import { FakeClock } from '../../support/fake-clock.ts';

class FakeSocket {
  destroyed = false;
  destroy(): void {
    this.destroyed = true;
  }
}

class FakeWorker {
  readonly handed: number[] = [];
  readonly told: { readonly type: string; readonly id: number }[] = [];
  hand({ id }: HandedConnection, _socket: FakeSocket): void {
    this.handed.push(id);
  }
  send(message: { readonly type: string; readonly id: number }): void {
    this.told.push(message);
  }
}

function opened(workers = 1) {
  const clock = new FakeClock();
  const door = new ConnectionDoor<FakeSocket>({ clock, workers });
  let counted = 0;
  const join = () => {
    const worker = new FakeWorker();
    return { worker, place: door.join(worker) };
  };
  const accept = (moveTo: (address: string) => boolean = () => true) => {
    counted += 1;
    const socket = new FakeSocket();
    const close = () => {
      counted -= 1;
    };
    door.accept({ door: 'main', socket, admission: { moveTo, close } });
    return socket;
  };
  return { clock, door, join, accept, counted: () => counted };
}

describe('connections that came while there was no worker', () => {
  it('are shared by those that come one after the other', () => {
    const { clock, join, accept } = opened(3);
    for (let count = 0; count < 9; count += 1) accept();
    const workers = [join(), join(), join()];
    expect(workers.map(({ worker }) => worker.handed.length)).toEqual([3, 3, 3]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('go to those that are there, where the others do not come within a second', async () => {
    const { clock, join, accept } = opened(3);
    for (let count = 0; count < 9; count += 1) accept();
    const [one, other] = [join(), join()];
    await clock.advance(999);
    expect([one, other].map(({ worker }) => worker.handed.length)).toEqual([3, 3]);
    await clock.advance(1);
    expect([one, other].map(({ worker }) => worker.handed.length).sort()).toEqual([4, 5]);
    expect([...one.worker.handed, ...other.worker.handed].sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('wait on where those that came are gone again before', async () => {
    const { clock, join, accept } = opened(2);
    for (let count = 0; count < 4; count += 1) accept();
    join().place.gone();
    await clock.advance(1000);
    const [one, other] = [join(), join()];
    expect([one, other].map(({ worker }) => worker.handed.length)).toEqual([2, 2]);
  });
});

describe('connections', () => {
  it('go to the worker with the fewest', () => {
    const { join, accept } = opened();
    const [one, other] = [join(), join()];
    for (let count = 0; count < 4; count += 1) accept();
    expect([one.worker.handed, other.worker.handed]).toEqual([
      [1, 3],
      [2, 4],
    ]);
    for (const id of [1, 3]) one.place.taken(id);
    for (const id of [2, 4]) other.place.taken(id);
    one.place.closed(1);
    one.place.closed(3);
    accept();
    one.place.taken(5);
    accept();
    expect(one.worker.handed).toEqual([1, 3, 5, 6]);
  });

  it('go to all in turn where none is busier, also those that are closed before the next one comes', () => {
    const { join, accept } = opened();
    const workers = [join(), join(), join()];
    for (let id = 1; id <= 6; id += 1) {
      accept();
      for (const { worker, place } of workers)
        if (worker.handed.includes(id)) {
          place.taken(id);
          place.closed(id);
        }
    }
    expect(workers.map(({ worker }) => worker.handed)).toEqual([
      [1, 4],
      [2, 5],
      [3, 6],
    ]);
  });

  it('go to a worker that has just joined, and to the one whose turn it is after that', () => {
    const { join, accept } = opened();
    const one = join();
    accept();
    one.place.closed(1);
    const other = join();
    accept();
    other.place.closed(2);
    accept();
    expect([one.worker.handed, other.worker.handed]).toEqual([[1, 3], [2]]);
  });

  it('do not go to a worker that takes none, however few it has', () => {
    const { join, accept } = opened();
    const [busy, other] = [join(), join()];
    accept();
    for (let id = 2; id < 6; id += 1) {
      accept();
      other.place.taken(id);
    }
    expect(busy.worker.handed).toEqual([1]);
    expect(other.worker.handed).toEqual([2, 3, 4, 5]);
  });

  it('wait while there is no worker', () => {
    const { join, accept } = opened();
    accept();
    accept();
    expect(join().worker.handed).toEqual([1, 2]);
  });

  it('stay open here until the worker has taken them', () => {
    const { join, accept } = opened();
    const { place } = join();
    const socket = accept();
    expect(socket.destroyed).toBe(false);
    place.taken(1);
    expect(socket.destroyed).toBe(true);
  });

  it('are counted until they are closed, once', () => {
    const { join, accept, counted } = opened();
    const { place } = join();
    accept();
    accept();
    place.taken(1);
    place.closed(1);
    place.closed(1);
    expect(counted()).toBe(1);
    place.closed(2);
    expect(counted()).toBe(0);
  });
});

describe('a worker that dies', () => {
  it('takes with it those that it has taken; the others go to another one', () => {
    const { join, accept, counted } = opened();
    const [dying, other] = [join(), join()];
    const sockets = [accept(), accept(), accept()];
    dying.place.taken(1);
    dying.place.gone();
    expect(other.worker.handed).toEqual([2, 3]);
    expect(counted()).toBe(2);
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true, false, false]);
  });

  it('leaves those that it has not taken waiting, where it was the only one', () => {
    const { join, accept, counted } = opened();
    const { place } = join();
    accept();
    place.gone();
    expect(counted()).toBe(1);
    expect(join().worker.handed).toEqual([1]);
  });
});

describe('a connection that got lost on its way', () => {
  it('is handed over again when the worker has received what came after it', () => {
    const { join, accept } = opened();
    const { worker, place } = join();
    accept();
    accept();
    place.taken(2);
    const { handed } = place;
    accept();
    place.receivedAfter(handed);
    expect(worker.handed).toEqual([1, 2, 3, 1]);
    // What was handed over after that is on its way.
    place.receivedAfter(handed);
    expect(worker.handed).toHaveLength(4);
  });
});

describe('a connection whose client a proxy names', () => {
  it.each([
    ['may stay', true, 'connection-stays'],
    ['is to be closed', false, 'connection-refused'],
  ])('%s', (_, mayStay, type) => {
    const { join, accept } = opened();
    const { worker, place } = join();
    accept(() => mayStay);
    place.taken(1);
    place.moved(1, '192.0.2.1');
    expect(worker.told).toEqual([{ type, id: 1 }]);
  });
});

it('closes those that no worker has', () => {
  const { door, accept, counted } = opened();
  const socket = accept();
  door.close();
  expect(socket.destroyed).toBe(true);
  expect(counted()).toBe(0);
});
