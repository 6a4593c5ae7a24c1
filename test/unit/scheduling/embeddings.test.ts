/** Requests that have no answer, as embeddings, beside those that have one. */
import { expect, it } from 'vitest';
import { entry, settled, started } from '../../support/scheduling.ts';

const UNBOUND = { maxTokens: undefined };
const WITHOUT_ANSWER = { maxTokens: 0 };

it('a request without an answer is charged for its prompt alone', () => {
  const scheduler = started();
  scheduler.enqueue(entry('a', { ...WITHOUT_ANSWER, promptTokens: 20 }), 0);
  scheduler.tick(0);
  expect(scheduler.usedOf({ model: 'm', id: 't' }).tokens).toBe(20);
});

it('requests without answers teach nothing of how long answers are', () => {
  const chargedAfter = (embeddings: number) => {
    const scheduler = started();
    for (let index = 0; index < 20 + embeddings; index += 1) {
      const embeds = index >= 20;
      scheduler.enqueue(entry(`e${index}`, embeds ? WITHOUT_ANSWER : UNBOUND), 0);
      scheduler.tick(0);
      scheduler.release(`e${index}`, settled({ answerTokens: embeds ? 0 : 100 }), 10);
    }
    scheduler.enqueue(entry('last', UNBOUND), 20);
    scheduler.tick(20);
    return scheduler.usedOf({ model: 'm', id: 't' }).tokens;
  };
  expect(chargedAfter(200)).toBe(chargedAfter(0));
});
