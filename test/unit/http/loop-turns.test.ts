import { expect, it } from 'vitest';
import { LoopTurns } from '../../../src/http/loop-turns.ts';

it('gives each turn of the event loop to one, in their order', async () => {
  const ends: (() => void)[] = [];
  const turns = new LoopTurns({ atEndOfTurn: (run) => ends.push(run) });
  const done: string[] = [];
  const work = async (name: string) => {
    await turns.next();
    done.push(`${name} 1`);
    await turns.next();
    done.push(`${name} 2`);
  };
  const endTurn = async () => {
    ends.shift()?.();
    await Promise.resolve();
    await Promise.resolve();
    expect(ends.length).toBeLessThanOrEqual(1);
    return [...done];
  };
  const all = [work('a'), work('b')];
  expect(done).toEqual([]);
  expect(await endTurn()).toEqual(['a 1']);
  expect(await endTurn()).toEqual(['a 1', 'b 1']);
  expect(await endTurn()).toEqual(['a 1', 'b 1', 'a 2']);
  expect(await endTurn()).toHaveLength(4);
  await Promise.all(all);
});
