import { expect, it } from 'vitest';
import { Consumption } from '../../../src/core/consumption.ts';

it('knows what tries have used that still run, and each once', () => {
  const consumption = new Consumption();
  const attempt = (target: string) => ({ model: 'm', target, startedAt: 100 });
  const [first, second] = [attempt('one'), attempt('two')];
  const work = { used: { promptTokens: 5, cachedTokens: 1, answerTokens: 0 } };
  consumption.begun(first, work);
  work.used = { promptTokens: 5, cachedTokens: 1, answerTokens: 7 };
  const used = { promptTokens: 5, cachedTokens: 1, completionTokens: 7, slotMs: 50, model: 'm' };
  expect(consumption.triesSoFar(150)).toEqual([{ ...used, target: 'one' }]);
  expect(consumption.tries).toEqual([]);
  consumption.begun(second, work);
  consumption.add({ attempt: first, used: work.used, now: 150, costs: true });
  expect(consumption.triesSoFar(150)).toEqual([
    { ...used, target: 'one' },
    { ...used, target: 'two' },
  ]);
  consumption.add({ attempt: second, used: work.used, now: 150, costs: false });
  expect(consumption.triesSoFar(200)).toBe(consumption.tries);
});
