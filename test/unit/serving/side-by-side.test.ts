import { expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import type { GenerationEvent } from '../../../src/core/generation.ts';
import type { Receipt } from '../../../src/core/receipt.ts';
import { runSideBySide } from '../../../src/serving/side-by-side.ts';
import { FINISH } from '../../support/fake-backend.ts';

const text = (said: string): GenerationEvent => ({ type: 'text', text: said });

/** Each generation gives its events, or ends with its error; what is given to none waits for the cancellation. */
function run(answers: readonly (readonly GenerationEvent[] | Error | 'waits')[]) {
  const receipt: Receipt = { requestId: 'r', receivedAt: 0 };
  const cancellation = new AbortController();
  const receipts: Receipt[] = [];
  const taken: string[] = [];
  const start = async function* (choice: number, own: Receipt): AsyncGenerator<GenerationEvent> {
    receipts[choice] = own;
    const answer = answers[choice];
    if (answer instanceof Error) throw answer;
    if (answer === 'waits' || answer === undefined) {
      await new Promise((_, reject) => {
        cancellation.signal.addEventListener('abort', () => reject(cancellation.signal.reason));
      });
      return;
    }
    own.usage = { promptTokens: 3, completionTokens: answer.length, cachedTokens: 1 };
    yield* answer;
  };
  const ended = runSideBySide(
    { start, choices: answers.length, receipt, cancellation },
    async (events, choice) => {
      for await (const event of events) taken.push(`${choice}:${event.type}`);
    },
  );
  return { ended, receipt, receipts, taken, cancellation };
}

it('one generation writes on the request’s own receipt', async () => {
  const { ended, receipt, receipts, taken } = run([[text('a'), FINISH]]);
  await ended;
  expect(taken).toEqual(['0:text', '0:finish']);
  expect(receipts[0]).toBe(receipt);
});

it('several run at the same time, each with a receipt of its own; together they used what each did', async () => {
  const { ended, receipt, receipts, taken } = run([
    [text('a'), FINISH],
    [text('b'), text('c'), FINISH],
  ]);
  await ended;
  expect(taken.slice(0, 2)).toEqual(['0:text', '1:text']);
  expect(taken).toHaveLength(5);
  expect(receipts[1]).not.toBe(receipt);
  expect(receipt.usage).toEqual({ promptTokens: 6, completionTokens: 5, cachedTokens: 2 });
});

it('where one fails the others are cancelled, and its error is thrown when all have ended', async () => {
  const failure = new ServingError('queue_full');
  const { ended, cancellation } = run(['waits', failure, 'waits']);
  await expect(ended).rejects.toBe(failure);
  // The others are left, which is no fault of their backends.
  expect(cancellation.signal.reason).toMatchObject({ code: 'client_gone' });
});

it('what any of them leaves away is known to the request at once', async () => {
  const { ended, receipt, receipts } = run([[FINISH], [FINISH]]);
  receipts[1]?.droppedFields?.push('seed');
  expect(receipt.droppedFields).toEqual(['seed']);
  await ended;
});

it('none at all ends at once', async () => {
  const { ended, receipt } = run([]);
  await ended;
  expect(receipt.usage).toBeUndefined();
});
