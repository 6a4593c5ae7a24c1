import { expect, it } from 'vitest';
import type { GenerationSink } from '../../../src/core/backend.ts';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { ServingError } from '../../../src/core/errors.ts';
import type { GenerationEvent } from '../../../src/core/generation.ts';
import type { RequestTrace } from '../../../src/core/request-trace.ts';
import { type Pausable, startChoices } from '../../../src/serving/choices.ts';
import { attemptOf } from '../../support/attempt.ts';
import { FINISH } from '../../support/fake-backend.ts';

const text = (said: string): GenerationEvent => ({ type: 'text', text: said });

/** Each generation gives its events, or ends with its error; what is given to none waits for the cancellation. */
function run(answers: readonly (readonly GenerationEvent[] | ServingError | 'waits')[]) {
  const trace: RequestTrace = { requestId: 'r', receivedAt: 0 };
  const cancellation = new Cancellation();
  const traces: RequestTrace[] = [];
  const taken: string[] = [];
  const states: string[] = [];
  const start = (choice: number, own: RequestTrace, sink: GenerationSink) => {
    traces[choice] = own;
    const answer = answers[choice];
    if (answer === 'waits') cancellation.onCancel((reason) => sink.fail(reason));
    void Promise.resolve().then(async () => {
      if (answer instanceof ServingError) sink.fail(answer);
      if (answer === 'waits' || answer === undefined || answer instanceof ServingError) return;
      own.usage = { promptTokens: 3, completionTokens: answer.length, cachedTokens: 1 };
      for (const event of answer) {
        sink.event(event);
        await Promise.resolve();
      }
    });
    return { pause: () => states.push(`${choice}:paused`), resume: () => states.push(`${choice}:resumed`) };
  };
  let started: Pausable | undefined;
  const ended = new Promise<void>((resolve, reject) => {
    started = startChoices(
      { start, choices: answers.length, trace, cancellation },
      {
        event: (event, choice) => void taken.push(`${choice}:${event.type}`),
        done: resolve,
        fail: reject,
      },
    );
  });
  return { ended, trace, traces, taken, cancellation, started, states };
}

it('one generation writes on the request’s own trace', async () => {
  const { ended, trace, traces, taken } = run([[text('a'), FINISH]]);
  await ended;
  expect(taken).toEqual(['0:text', '0:finish']);
  expect(traces[0]).toBe(trace);
});

it('several run at the same time, each with a trace of its own; together they used what each did', async () => {
  const { ended, trace, traces, taken } = run([
    [text('a'), FINISH],
    [text('b'), text('c'), FINISH],
  ]);
  await ended;
  expect(taken.slice(0, 2)).toEqual(['0:text', '1:text']);
  expect(taken).toHaveLength(5);
  expect(traces[1]).not.toBe(trace);
  expect(trace.usage).toEqual({ promptTokens: 6, completionTokens: 5, cachedTokens: 2 });
});

it('where one fails the others are cancelled, and its error is told when all have ended', async () => {
  const failure = new ServingError('queue_full');
  const { ended, cancellation } = run(['waits', failure, 'waits']);
  await expect(ended).rejects.toBe(failure);
  // The others are left, which is no fault of their backends.
  expect(cancellation.reason).toMatchObject({ code: 'client_gone' });
});

it('what any of them consumed is added up on the request', async () => {
  const { ended, trace, traces } = run([[FINISH], [FINISH]]);
  expect(traces[1]?.consumed).toBe(trace.consumed);
  expect(trace.consumed).toMatchObject({ promptTokens: 0, tries: [] });
  await ended;
});

it('what any of them drops is known to the request at once', async () => {
  const { ended, trace, traces } = run([[FINISH], [FINISH]]);
  traces[1]?.droppedFields?.push('seed');
  expect(trace.droppedFields).toEqual(['seed']);
  await ended;
});

it('none at all ends at once', async () => {
  const { ended, trace } = run([]);
  await ended;
  expect(trace.usage).toBeUndefined();
});

it('all of them are paused and resumed together', async () => {
  const { ended, started, states } = run([[FINISH], [FINISH]]);
  started?.pause();
  started?.resume();
  expect(states).toEqual(['0:paused', '1:paused', '0:resumed', '1:resumed']);
  await ended;
});

it('the request’s trace has the tries of the choice that needed most, and the model that answered any of them', async () => {
  const { ended, trace, traces } = run([[FINISH], [FINISH], [FINISH]]);
  const attempt = attemptOf();
  traces.forEach((own, choice) => {
    own.attempts = Array.from({ length: choice === 1 ? 3 : 1 }, () => attempt);
  });
  const [, second] = traces;
  if (second !== undefined) second.servedModel = 'spare';
  await ended;
  expect(trace.attempts).toHaveLength(3);
  expect(trace.servedModel).toBe('spare');
});
