import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { LateConnections } from '../../../src/http/late-connections.ts';
import { FakeClock } from '../../support/fake-clock.ts';

type Options = ConstructorParameters<typeof LateConnections>[0];
type Serving = NonNullable<ReturnType<Options['openRequests']['on']>>;

const TOO_LATE: NodeJS.ErrnoException = new Error('too late');

function late() {
  const clock = new FakeClock();
  const ended: Socket[] = [];
  const serving = new Map<Socket, Serving>();
  const connections = new LateConnections({
    clock,
    openRequests: { on: (socket) => serving.get(socket) },
    end: (_error, socket) => ended.push(socket),
  });
  return { clock, ended, serving, connections };
}

const socketOf = (destroyed = false) => ({ destroyed }) as Socket;
const requestOf = (complete: boolean) => ({ request: { complete } }) as Serving;

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

  test('are served where the request has arrived meanwhile, and not where only more of it has', async () => {
    const { clock, ended, serving, connections } = late();
    const whole = socketOf();
    const restOfBody = socketOf();
    const headOnly = socketOf();
    serving.set(restOfBody, requestOf(false));
    for (const socket of [whole, restOfBody, headOnly]) connections.add(TOO_LATE, socket);
    serving.set(whole, requestOf(true));
    serving.set(restOfBody, requestOf(true));
    serving.set(headOnly, requestOf(false));
    await clock.settle();
    expect(ended).toEqual([headOnly]);
  });

  test('are ended where the answer is out and the body is still on its way, but not where that has arrived', async () => {
    const { clock, ended, serving, connections } = late();
    const unread = socketOf();
    serving.set(unread, requestOf(false));
    const answered = socketOf();
    const arriving = { request: { complete: false } };
    serving.set(answered, arriving as Serving);
    for (const socket of [unread, answered]) connections.add(TOO_LATE, socket);
    arriving.request.complete = true;
    serving.clear();
    await clock.settle();
    expect(ended).toEqual([unread]);
  });

  test('are ended at once where the late request is behind one that is being answered', () => {
    const { ended, serving, connections } = late();
    const pipelined = socketOf();
    serving.set(pipelined, requestOf(true));
    connections.add(TOO_LATE, pipelined);
    expect(ended).toEqual([pipelined]);
  });
});
