import { expect, it } from 'vitest';
import { ServiceTime } from '../../../src/scheduling/service-time.ts';

const work = { requests: 1, promptTokens: 100, answerTokens: 20 };

it('learns of an answer that came whole what its prompt does not usually take', () => {
  const time = new ServiceTime();
  for (let turn = 0; turn < 20; turn += 1) time.record({ work, durationMs: 300, firstTokenMs: 100 });
  expect(time.of(work)).toBeCloseTo(300);
  for (let turn = 0; turn < 500; turn += 1) time.record({ work, durationMs: 500, firstTokenMs: undefined });
  expect(time.of(work)).toBeCloseTo(500, 0);
});

it('of answers that all came whole it is the whole time, whatever the prompt was', () => {
  const time = new ServiceTime();
  for (let turn = 0; turn < 10; turn += 1) time.record({ work, durationMs: 400, firstTokenMs: undefined });
  expect(time.isTrusted).toBe(true);
  expect(time.of(work)).toBeCloseTo(400);
});
