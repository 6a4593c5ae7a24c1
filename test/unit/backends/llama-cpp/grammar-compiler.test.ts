import { afterAll, describe, expect, it } from 'vitest';
import type {
  AnswerConstraint,
  CompiledGrammar,
} from '../../../../src/backends/llama-cpp/grammar/answer-grammar.ts';
import {
  COMPILE_LIMIT_MS,
  GrammarCompiler,
  type GrammarThreadEvents,
} from '../../../../src/backends/llama-cpp/grammar-compiler.ts';
import { ServingError } from '../../../../src/core/errors.ts';
import { systemClock } from '../../../../src/system-clock.ts';
import { never } from '../../../support/embedded-engine.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { HOSTILE_GRAMMARS } from '../../../support/hostile-grammars.ts';

describe('grammar compiler', () => {
  /** Whoever asks for what, each grammar is compiled once, off the event loop, and for a bounded time. */

  const compiled = (gbnf: string): CompiledGrammar => ({
    gbnf,
    packed: { elements: [], alternatives: [], rules: [0], sets: [], root: 0 },
  });

  class FakeThread {
    readonly events: GrammarThreadEvents;
    readonly given: string[] = [];
    ended = false;

    constructor(events: GrammarThreadEvents) {
      this.events = events;
    }

    compile(constraint: string): void {
      this.given.push(constraint);
    }

    async end(): Promise<void> {
      this.ended = true;
    }

    answer(gbnf: string): void {
      this.events.compiled({ grammar: compiled(gbnf) });
    }
  }

  function setUp() {
    const clock = new FakeClock();
    const threads: FakeThread[] = [];
    const cost = { ms: 0 };
    const compiler = new GrammarCompiler({
      clock,
      startThread: (events) => {
        const thread = new FakeThread(events);
        threads.push(thread);
        return thread;
      },
      processorMs: () => cost.ms,
    });
    const thread = (index = 0) => threads[index] as FakeThread;
    return { clock, threads, thread, cost, compiler };
  }

  const schema = (name: string): AnswerConstraint => ({
    output: { kind: 'json-schema', schema: { const: name } },
  });
  const regex = (text: string): AnswerConstraint => ({ output: { kind: 'regex', regex: text } });

  describe('a grammar', () => {
    it('is compiled by one thread, one after the other', async () => {
      const { compiler, threads, thread } = setUp();
      const first = compiler.compile(schema('a'), never());
      const second = compiler.compile(schema('b'), never());
      expect(threads).toHaveLength(1);
      expect(thread().given).toHaveLength(1);
      thread().answer('of a');
      expect(await first).toEqual(compiled('of a'));
      thread().answer('of b');
      expect(await second).toEqual(compiled('of b'));
      expect(thread().given.map((given) => JSON.parse(given))).toEqual([schema('a'), schema('b')]);
    });

    it('is compiled once for all that ask for the same, and kept', async () => {
      const { compiler, thread, clock } = setUp();
      const both = [compiler.compile(schema('a'), never()), compiler.compile(schema('a'), never())];
      thread().answer('of a');
      expect(await Promise.all(both)).toEqual([compiled('of a'), compiled('of a')]);
      expect(await compiler.compile(schema('a'), never())).toEqual(compiled('of a'));
      expect(thread().given).toHaveLength(1);
      expect(clock.pendingTimers).toBe(0);
    });

    it('of JSON mode needs no thread', async () => {
      const { compiler, threads } = setUp();
      expect(await compiler.compile({ output: { kind: 'json' } }, never())).toMatchObject({
        gbnf: expect.stringContaining('root ::='),
      });
      expect(threads).toEqual([]);
    });

    it('that cannot be made is refused as the thread says, again and again', async () => {
      const { compiler, thread } = setUp();
      const refused = compiler.compile(schema('a'), never());
      const rejection = { code: 'invalid_request', message: 'No.', param: 'format' } as const;
      thread().events.compiled({ rejection });
      await expect(refused).rejects.toMatchObject(rejection);
      await expect(compiler.compile(schema('a'), never())).rejects.toMatchObject(rejection);
      expect(thread().given).toHaveLength(1);
    });
  });

  describe('a grammar that takes too long', () => {
    it.each([
      ['format', schema('slow')],
      ['regex', regex('slow')],
      ['tools', { calls: { tools: [{ name: 'slow' }], single: false, format: {} as never } }],
    ] as const)('is refused naming %s, and the next has a new thread', async (param, slow) => {
      const { compiler, threads, thread, clock, cost } = setUp();
      const refused = compiler.compile(slow, never());
      const next = compiler.compile(schema('next'), never());
      refused.catch(() => {});
      cost.ms = COMPILE_LIMIT_MS;
      await clock.advance(500);
      await expect(refused).rejects.toMatchObject({
        code: 'invalid_request',
        param,
        message: `${param} takes more than 5 s of processor time to compile. Make it smaller or simpler.`,
      });
      expect(thread(0).ended).toBe(true);
      thread(1).answer('of next');
      expect(await next).toEqual(compiled('of next'));
      await expect(compiler.compile(slow, never()), 'known by now').rejects.toMatchObject({ param });
      expect(threads).toHaveLength(2);
      expect(clock.pendingTimers).toBe(0);
    });

    it('only because the machine is busy is waited for', async () => {
      const { compiler, thread, clock, cost } = setUp();
      const made = compiler.compile(schema('a'), never());
      cost.ms = COMPILE_LIMIT_MS - 1;
      await clock.advance(60_000);
      thread().answer('of a');
      expect(await made).toEqual(compiled('of a'));
      expect(thread().ended).toBe(false);
    });

    it('counts from when it began, not from when it waited', async () => {
      const { compiler, thread, clock, cost } = setUp();
      const first = compiler.compile(schema('a'), never());
      const second = compiler.compile(schema('b'), never());
      cost.ms = COMPILE_LIMIT_MS - 1;
      await clock.advance(500);
      thread().answer('of a');
      await first;
      cost.ms += COMPILE_LIMIT_MS - 1;
      await clock.advance(500);
      thread().answer('of b');
      expect(await second).toEqual(compiled('of b'));
    });
  });

  describe('a thread', () => {
    it('without memory refuses the one it had, and another goes on', async () => {
      const { compiler, thread } = setUp();
      const refused = compiler.compile(schema('large'), never());
      const next = compiler.compile(schema('next'), never());
      thread(0).events.ended('out-of-memory', new Error('memory'));
      await expect(refused).rejects.toMatchObject({
        code: 'invalid_request',
        param: 'format',
        message: expect.stringContaining('more memory'),
      });
      thread(1).answer('of next');
      expect(await next).toEqual(compiled('of next'));
    });

    it('that failed is an internal error, which is not kept', async () => {
      const { compiler, thread } = setUp();
      const failed = compiler.compile(schema('a'), never());
      thread(0).events.ended('failed', new Error('a fault'));
      await expect(failed).rejects.toMatchObject({ code: 'internal' });
      const again = compiler.compile(schema('a'), never());
      thread(1).events.compiled({ failure: 'RangeError' });
      await expect(again).rejects.toMatchObject({ code: 'internal', cause: 'RangeError' });
    });

    it('that ends when it has nothing to do is replaced at need', async () => {
      const { compiler, thread } = setUp();
      const first = compiler.compile(schema('a'), never());
      thread(0).answer('of a');
      await first;
      thread(0).events.ended('failed', new Error('a fault'));
      const second = compiler.compile(schema('b'), never());
      thread(1).answer('of b');
      expect(await second).toEqual(compiled('of b'));
    });
  });

  describe('one who leaves', () => {
    const gone = () => new ServingError('client_gone');

    it('while waiting is never compiled for', async () => {
      const { compiler, thread } = setUp();
      const first = compiler.compile(schema('a'), never());
      const leaving = new AbortController();
      const second = compiler.compile(schema('b'), leaving.signal);
      const reason = gone();
      leaving.abort(reason);
      await expect(second).rejects.toBe(reason);
      thread().answer('of a');
      await first;
      expect(thread().given).toHaveLength(1);
    });

    it('while it is compiled is let go at once; what is made is kept for others', async () => {
      const { compiler, thread } = setUp();
      const leaving = new AbortController();
      const first = compiler.compile(schema('a'), leaving.signal);
      const reason = gone();
      leaving.abort(reason);
      await expect(first).rejects.toBe(reason);
      thread().answer('of a');
      expect(await compiler.compile(schema('a'), never())).toEqual(compiled('of a'));
    });

    it('before asking is asked nothing', async () => {
      const { compiler, threads } = setUp();
      const reason = gone();
      await expect(compiler.compile(schema('a'), AbortSignal.abort(reason))).rejects.toBe(reason);
      expect(threads).toEqual([]);
    });
  });

  it('when it is closed, ends its thread and refuses those who wait and those who come', async () => {
    const { compiler, thread, clock } = setUp();
    const all = ['a', 'b'].map((name) => compiler.compile(schema(name), never()));
    for (const each of all) each.catch(() => {});
    await compiler.close();
    for (const each of all) await expect(each).rejects.toMatchObject({ code: 'draining' });
    await expect(compiler.compile(schema('c'), never())).rejects.toMatchObject({ code: 'draining' });
    expect(thread().ended).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('the thread that compiles', () => {
  /** The real thread: what it makes, what it refuses, and that the event loop has other things to do meanwhile. */

  const compiler = new GrammarCompiler({ clock: systemClock });
  afterAll(() => compiler.close());

  const ofSchema = (schema: unknown) => ({ output: { kind: 'json-schema', schema } }) as const;
  /** 2 KB whose choices would be written out a million times. */
  const multiplying = (name: string) =>
    ofSchema({
      allOf: Array.from({ length: 20 }, (_, index) => ({
        anyOf: [{ required: [`${name}a${index}`] }, { required: [`${name}b${index}`] }],
      })),
    });
  /** Much, but no more than people may have. */
  const large = (name: string) => {
    const names = Array.from({ length: 300 }, (_, index) => `${name}_property_${index}`);
    const properties = Object.fromEntries(names.map((each) => [each, { type: 'string' }]));
    return ofSchema({ type: 'object', properties, required: names });
  };

  it('makes a grammar', async () => {
    expect(await compiler.compile(ofSchema({ const: 'yes' }), never())).toMatchObject({
      gbnf: expect.stringContaining('yes'),
    });
  });

  it('refuses with code, message and place', async () => {
    await expect(compiler.compile(multiplying('x'), never())).rejects.toMatchObject({
      name: 'ServingError',
      code: 'invalid_request',
      param: 'format',
      message: expect.stringContaining('multiplies'),
    });
  });

  it('leaves the event loop to others, whatever it is given', async () => {
    // Compiled here, these would take all of it, each time; that this thread gets no core for a while looks the same.
    let least = 1;
    for (let tried = 0; tried < 20 && least >= 0.3; tried += 1) {
      const before = performance.eventLoopUtilization();
      const given = [
        ...['a', 'b', 'c'].map((name) => multiplying(`${name}${before.active}`)),
        large(`p${before.active}`),
        ...HOSTILE_GRAMMARS.map(({ gbnf }) => ({ output: { kind: 'grammar', grammar: gbnf } }) as const),
      ];
      await Promise.allSettled(given.map((constraint) => compiler.compile(constraint, never())));
      least = Math.min(least, performance.eventLoopUtilization(before).utilization);
    }
    expect(least).toBeLessThan(0.3);
  });
});
