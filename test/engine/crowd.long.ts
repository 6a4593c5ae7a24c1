/** One answer beside fifteen others: whatever the others are, it is its own. */
import { beforeAll, describe, expect, it } from 'vitest';
import { embeddedEngine, never, read, requestFor } from '../support/embedded-engine.ts';
import { pulled } from '../support/pulled-generation.ts';

const { backend } = embeddedEngine({ slots: 16, context_size: 512 });
const QUESTIONS = Array.from(
  { length: 16 },
  (_, index) => `Tell me something about the number ${index + 20}.`,
);

function ask(question: string, seed?: number) {
  const sampling = seed === undefined ? { temperature: 0 } : { temperature: 0.8, topP: 0.9, topK: 40, seed };
  return read(
    pulled(backend, requestFor(question, { sampling, limits: { maxTokens: 24 } }), { signal: never() }),
  );
}

const crowd = () => Promise.all(QUESTIONS.map((question, index) => ask(question, index)));
let first: Awaited<ReturnType<typeof crowd>>;

beforeAll(async () => {
  await backend.warmUp({ signal: never() });
  first = await crowd();
});

describe('an answer in a crowd of sixteen', () => {
  // How the sixteen share steps depends on when each arrives, and by how much that moves the sums on the processor: what
  // is another's answer is the same never, what is its own more often than not.
  it('is mostly the same when the crowd is the same, with its seed', async () => {
    const again = await crowd();
    const same = again.filter(({ text }, index) => text === first[index]?.text);
    expect(same.length).toBeGreaterThanOrEqual(4);
  });

  it('is often the one it would be alone: steps of many are summed up in another order', async () => {
    let same = 0;
    for (const [index, question] of QUESTIONS.slice(0, 8).entries()) {
      if ((await ask(question, index)).text === first[index]?.text) same += 1;
    }
    expect(same).toBeGreaterThanOrEqual(1);
  });
});
