import type { Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { LateConnections } from '../../../src/http/late-connections.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const TOO_LATE: NodeJS.ErrnoException = new Error('too late');

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function late() {
  const clock = new FakeClock();
  const ended: Socket[] = [];
  const arrived = new Map<Socket, number>();
  const connections = new LateConnections({
    clock,
    openRequests: {
      arrivedOn: (socket) => arrived.get(socket) ?? 0,
      hasAnswersAhead: () => false,
      onAnswered: () => {},
      answeredAt: () => Number.NEGATIVE_INFINITY,
    },
    requestTimeoutMs: 15_000,
    end: (_error, socket) => ended.push(socket),
  });
  return { clock, ended, arrived, connections };
}

const socketOf = (destroyed = false) => ({ destroyed }) as Socket;

describe('connections whose request did not arrive in time', () => {
  test('are ended a few in each turn, in their order, however many are reported at once', async () => {
    const { clock, ended, connections } = late();
    const sockets = Array.from({ length: 1000 }, () => socketOf());
    for (const socket of sockets) connections.add(TOO_LATE, socket);
    expect(ended).toEqual([]);
    let most = 0;
    for (let before = 0; ended.length < sockets.length; before = ended.length) {
      await clock.endTurn();
      most = Math.max(most, ended.length - before);
      expect(ended.length).toBeGreaterThan(before);
    }
    expect(most).toBeLessThanOrEqual(8);
    expect(ended.every((socket, at) => socket === sockets[at])).toBe(true);
    await clock.settle();
    expect(ended).toHaveLength(sockets.length);
  });

  test('are ended also when they are reported while others wait, and after all have been ended', async () => {
    const { clock, ended, connections } = late();
    for (let count = 0; count < 20; count += 1) connections.add(TOO_LATE, socketOf());
    await clock.endTurn();
    connections.add(TOO_LATE, socketOf());
    await clock.settle();
    expect(ended).toHaveLength(21);
    connections.add(TOO_LATE, socketOf());
    await clock.settle();
    expect(ended).toHaveLength(22);
  });

  test('are left alone where the client has closed them meanwhile', async () => {
    const { clock, ended, connections } = late();
    connections.add(TOO_LATE, socketOf(true));
    await clock.settle();
    expect(ended).toEqual([]);
  });

  test('are left alone where a request has arrived whole meanwhile, and not where none has', async () => {
    const { clock, ended, arrived, connections } = late();
    const [first, next, none, noneAgain] = [socketOf(), socketOf(), socketOf(), socketOf()];
    arrived.set(next, 3).set(noneAgain, 3);
    for (const socket of [first, next, none, noneAgain]) connections.add(TOO_LATE, socket);
    arrived.set(first, 1).set(next, 4);
    await clock.settle();
    expect(ended).toEqual([none, noneAgain]);
  });

  test('are forgotten once they have been ended, also while others come all the time', async () => {
    const { clock, ended, connections } = late();
    // No FinalizationRegistry: one that nobody uses any more is collected itself, and tells nothing.
    const sockets: WeakRef<Socket>[] = [];
    for (let turn = 0; turn < 1000; turn += 1) {
      for (let count = 0; count < 9; count += 1) {
        const socket = socketOf();
        sockets.push(new WeakRef(socket));
        connections.add(TOO_LATE, socket);
      }
      await clock.endTurn();
      ended.length = 0;
    }
    // 8,000 have been ended, 1,000 wait.
    const kept = () => {
      collectGarbage();
      return sockets.filter((socket) => socket.deref() !== undefined).length;
    };
    await expect.poll(kept).toBeLessThan(2500);
    expect(kept()).toBeGreaterThanOrEqual(1000);
    connections.add(TOO_LATE, socketOf());
  });
});
