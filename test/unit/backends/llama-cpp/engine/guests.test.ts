/** Whose request is whose, where several processes use one engine; the engine is played by the test. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Guest, Guests } from '../../../../../src/backends/llama-cpp/engine/guests.ts';
import type {
  EngineEvent,
  EngineGenerationRequest,
  WorkForEngine,
} from '../../../../../src/backends/llama-cpp/messages.ts';
import { FAKE_GENERATION } from '../../../../support/fake-engine.ts';

const generate = (id: number): WorkForEngine => ({
  type: 'generate',
  generation: { ...FAKE_GENERATION, id } satisfies EngineGenerationRequest,
});
const text = (of: string): EngineEvent['event'] => ({ type: 'text', text: of });
const finish: EngineEvent['event'] = {
  type: 'finish',
  reason: 'stop',
  usage: { promptTokens: 1, completionTokens: 1, cachedTokens: 0 },
};

let given: WorkForEngine[];
let guests: Guests;
/** What the engine does with a message at once. */
let onGiven: (message: WorkForEngine) => void;

beforeEach(() => {
  given = [];
  onGiven = () => {};
  guests = new Guests((message) => {
    given.push(message);
    onGiven(message);
  });
});

function join() {
  const got: EngineEvent[] = [];
  let sends = 0;
  const guest = new Guest(({ events }) => {
    sends += 1;
    got.push(...events);
  });
  return { guest, got, sends: () => sends };
}

/** The engine's ids of what it was given to generate, in their order. */
function engineIds(): number[] {
  return given.flatMap((message) => (message.type === 'generate' ? [message.generation.id] : []));
}

const orders = () => given.filter(({ type }) => type !== 'generate');

describe('guests of an engine', () => {
  it('may use the same numbers: each gets the events of its own requests, in one message a step', () => {
    const [a, b] = [join(), join()];
    guests.take(a.guest, generate(1));
    guests.take(b.guest, generate(1));
    guests.take(b.guest, generate(2));
    const [a1, b1, b2] = engineIds() as [number, number, number];
    const ofParent = guests.deliver([
      { id: b1, event: text('b1') },
      { id: 1, event: text('parent') },
      { id: a1, event: text('a1'), tokens: [7] },
      { id: b2, event: text('b2') },
    ]);
    expect(ofParent).toEqual([{ id: 1, event: text('parent') }]);
    expect(a.got).toEqual([{ id: 1, event: text('a1'), tokens: [7] }]);
    expect(b.got).toEqual([
      { id: 1, event: text('b1') },
      { id: 2, event: text('b2') },
    ]);
    expect([a.sends(), b.sends()]).toEqual([1, 1]);
  });

  it('leave the events of the parent as they are', () => {
    const events = [{ id: 1, event: text('x') }];
    expect(guests.deliver(events)).toBe(events);
  });

  it('order for their own requests alone, and a number is free again once its request has ended', () => {
    const [a, b] = [join(), join()];
    guests.take(a.guest, generate(1));
    guests.take(b.guest, { type: 'abort', id: 1 });
    guests.take(b.guest, { type: 'pause', id: 1 });
    expect(orders()).toEqual([]);
    const [a1] = engineIds() as [number];
    guests.take(a.guest, { type: 'pause', id: 1 });
    guests.take(a.guest, { type: 'resume', id: 1 });
    guests.take(a.guest, { type: 'abort', id: 1 });
    expect(orders()).toEqual([
      { type: 'pause', id: a1 },
      { type: 'resume', id: a1 },
      { type: 'abort', id: a1 },
    ]);
    guests.deliver([{ id: a1, event: { type: 'freed' } }]);
    expect(a.got).toEqual([{ id: 1, event: { type: 'freed' } }]);
    expect(guests.take(a.guest, generate(1))).toBeUndefined();
    // Of a request that has ended meanwhile.
    guests.take(a.guest, { type: 'abort', id: 9 });
    expect(orders()).toHaveLength(3);
  });

  it.each([
    { type: 'load' },
    { type: 'shutdown' },
    { type: 'ping' },
    { type: 'x' },
    {},
    { type: 'constructor' },
  ])('may not send %j', (message) => {
    const { guest } = join();
    expect(guests.take(guest, message as unknown as WorkForEngine)).toMatch(/^messages of the type/);
    expect(given).toEqual([]);
  });

  it('may not use a number for two requests', () => {
    const { guest } = join();
    guests.take(guest, generate(1));
    expect(guests.take(guest, { type: 'embed', embedding: { id: 1, inputs: ['a'] } })).toBe(
      'two requests under one number',
    );
    expect(given).toHaveLength(1);
  });

  it('that leave have their requests aborted and hear nothing more; the others go on', () => {
    const [a, b] = [join(), join()];
    guests.take(a.guest, generate(1));
    guests.take(b.guest, generate(1));
    guests.take(a.guest, generate(2));
    const [a1, b1, a2] = engineIds() as [number, number, number];
    // The engine answers the first abort at once, the other one after its step.
    onGiven = ({ type, ...message }) => {
      if (type === 'abort' && 'id' in message && message.id === a1)
        guests.deliver([{ id: a1, event: { type: 'freed' } }]);
    };
    guests.leave(a.guest);
    expect(orders()).toEqual([
      { type: 'abort', id: a1 },
      { type: 'abort', id: a2 },
    ]);
    guests.deliver([
      { id: a2, event: { type: 'freed' } },
      { id: b1, event: finish },
    ]);
    expect(a.got).toEqual([]);
    expect(b.got).toEqual([{ id: 1, event: finish }]);
    expect(guests.haveWork).toBe(false);
  });

  it('that do not read have their requests paused, the new ones too, and resumed when they have read', () => {
    const [slow, other] = [join(), join()];
    guests.take(slow.guest, generate(1));
    guests.take(slow.guest, generate(2));
    guests.take(slow.guest, { type: 'pause', id: 2 });
    guests.take(other.guest, generate(1));
    const [first, second] = engineIds() as [number, number, number];
    given.length = 0;
    guests.setSlow(slow.guest, true);
    guests.take(slow.guest, generate(3));
    const third = engineIds()[0] as number;
    expect(orders()).toEqual([
      { type: 'pause', id: first },
      { type: 'pause', id: third },
    ]);
    given.length = 0;
    // What a guest itself wants is remembered meanwhile.
    guests.take(slow.guest, { type: 'resume', id: 2 });
    guests.take(slow.guest, { type: 'pause', id: 1 });
    expect(given).toEqual([]);
    guests.setSlow(slow.guest, false);
    expect(given).toEqual([
      { type: 'resume', id: second },
      { type: 'resume', id: third },
    ]);
  });

  it('have work while a step is due for any: not for a paused one, or one whose guest does not read', () => {
    const { guest } = join();
    expect(guests.haveWork).toBe(false);
    guests.take(guest, generate(1));
    expect(guests.haveWork).toBe(true);
    guests.take(guest, { type: 'pause', id: 1 });
    expect(guests.haveWork).toBe(false);
    guests.take(guest, { type: 'resume', id: 1 });
    guests.setSlow(guest, true);
    expect(guests.haveWork).toBe(false);
    guests.take(guest, { type: 'abort', id: 1 });
    expect(guests.haveWork, 'it has to be freed').toBe(true);
    guests.deliver([{ id: engineIds()[0] as number, event: { type: 'freed' } }]);
    expect(guests.haveWork).toBe(false);
  });

  it('a request that fails at once leaves its number free', () => {
    const a = join();
    onGiven = (message) => {
      if (message.type !== 'generate') return;
      const { id } = message.generation;
      guests.deliver([{ id, event: { type: 'failed', code: 'invalid_request', message: 'No.' } }]);
    };
    guests.take(a.guest, generate(1));
    guests.take(a.guest, generate(1));
    expect(a.got.map(({ event }) => event.type)).toEqual(['failed', 'failed']);
    expect(guests.haveWork).toBe(false);
  });
});
