import { describe, expect, it } from 'vitest';
import type { EngineToWorker } from '../../../src/workers/engine-messages.ts';
import { HeardEngines } from '../../../src/workers/heard-engines.ts';
import { ToldEngines } from '../../../src/workers/told-engines.ts';

/** A worker, with what its link carries. */
function worker(told: ToldEngines) {
  const heard = new HeardEngines();
  const messages: EngineToWorker[] = [];
  const detach = told.attach((message) => {
    messages.push(message);
    heard.hear(message);
  });
  return { heard, messages, detach };
}

describe('notices of the engines of the control process', () => {
  it('reach every worker, and one that starts later is told what the others know', () => {
    const told = new ToldEngines();
    const first = worker(told);
    const engine = told.announce('a');
    engine.tell({ step: 1 });
    engine.tell({ step: 2 });
    const second = worker(told);
    engine.tell({ step: 3 });
    expect(first.messages.map(({ notice }) => notice?.step)).toEqual([1, 2, 3]);
    expect(second.messages.map(({ notice }) => notice?.step)).toEqual([2, 3]);
  });

  it('go no more to a worker that is gone', () => {
    const told = new ToldEngines();
    const gone = worker(told);
    gone.detach();
    told.announce('a').tell({ step: 1 });
    expect(gone.messages).toEqual([]);
  });

  it('are kept for a backend that is created after they came, and it hears its own engine alone', () => {
    const told = new ToldEngines();
    const { heard } = worker(told);
    told.announce('a').tell({ of: 'a' });
    const b = told.announce('b');
    b.tell({ of: 'b', step: 1 });
    const seen: unknown[] = [];
    const stop = heard.watch('b', (notice) => seen.push(notice));
    b.tell({ of: 'b', step: 2 });
    stop();
    b.tell({ of: 'b', step: 3 });
    expect(seen).toEqual([
      { of: 'b', step: 1 },
      { of: 'b', step: 2 },
    ]);
  });

  it('say that an engine is gone for good, and are forgotten then', () => {
    const told = new ToldEngines();
    const { heard } = worker(told);
    const seen: unknown[] = [];
    heard.watch('a', (notice) => seen.push(notice));
    const engine = told.announce('a');
    engine.tell({ step: 1 });
    engine.end();
    expect(seen).toEqual([{ step: 1 }, undefined]);
    expect(worker(told).messages).toEqual([]);
    heard.watch('a', () => expect.unreachable());
  });

  it('are those of the newest engine of a name: the end of the one before says nothing', () => {
    const told = new ToldEngines();
    const { messages } = worker(told);
    const old = told.announce('a');
    old.tell({ of: 'old' });
    const fresh = told.announce('a');
    fresh.tell({ of: 'fresh' });
    old.tell({ of: 'old' });
    old.end();
    expect(messages.map(({ notice }) => notice?.of)).toEqual(['old', 'fresh']);
    expect(worker(told).messages.map(({ notice }) => notice?.of)).toEqual(['fresh']);
  });
});
