/**
 * The choices of one request: several generations at the same time. Each waits, runs and ends on its own, but together they are
 * one answer: if one fails the others are cancelled, and the request fails with its error when all have ended.
 */
import type { GenerationSink } from '../core/backend.ts';
import type { Cancellation } from '../core/cancellation.ts';
import { Consumption } from '../core/consumption.ts';
import { ServingError } from '../core/errors.ts';
import type { GenerationEvent, Usage } from '../core/generation.ts';
import type { Attempt, RequestTrace } from '../core/request-trace.ts';

export interface Pausable {
  pause(): void;
  resume(): void;
}

export interface ChoicesSink {
  /** In order within a choice; those of several choices alternate. */
  event(event: GenerationEvent, choice: number): void;
  /** All have finished. */
  done(): void;
  /** All have ended, one of them with this error. */
  fail(error: ServingError): void;
}

interface ChoicesOptions {
  readonly choices: number;
  readonly trace: RequestTrace;
  readonly cancellation: Cancellation;
  /** Starts one generation with a trace of its own; the first has the request's. */
  start(choice: number, trace: RequestTrace, sink: GenerationSink): Pausable;
}

/** Without choices, `done` is called at once. */
export function startChoices(
  { choices, trace, cancellation, start }: ChoicesOptions,
  sink: ChoicesSink,
): Pausable {
  const failures: ServingError[] = [];
  let left = choices;
  // Shared by all traces: the header that names dropped fields has those of every choice.
  trace.droppedFields ??= [];
  trace.consumed ??= new Consumption();
  const traces = Array.from({ length: choices }, (_, choice) => (choice === 0 ? trace : { ...trace }));
  const ended = (own: RequestTrace) => {
    left -= 1;
    if (left > 0) return;
    const [failure] = failures;
    sumUp(trace, traces, { last: own, failed: failure !== undefined });
    if (failure === undefined) sink.done();
    else sink.fail(failure);
  };
  if (choices === 0) {
    sink.done();
    return { pause() {}, resume() {} };
  }
  const started = traces.map((own, choice) =>
    start(choice, own, {
      event: (event) => {
        sink.event(event, choice);
        if (event.type === 'finish') ended(own);
      },
      fail: (error) => {
        failures.push(error);
        // Not a failure of the other choices' backends.
        cancellation.cancel(
          new ServingError('client_gone', { message: 'Another choice of the request failed.' }),
        );
        ended(own);
      },
    }),
  );
  return {
    pause: () => {
      for (const each of started) each.pause();
    },
    resume: () => {
      for (const each of started) each.resume();
    },
  };
}

/** Writes on the request's trace when the first choice began, what the last to end took, and what all of them used together. */
function sumUp(
  trace: RequestTrace,
  traces: readonly RequestTrace[],
  { last, failed }: { readonly last: RequestTrace; readonly failed: boolean },
): void {
  const { attempts: lastAttempts, unservedWaitMs } = last;
  trace.longestChoice = {
    ...(lastAttempts !== undefined && { attempts: lastAttempts }),
    ...(unservedWaitMs !== undefined && { unservedWaitMs }),
  };
  for (const mark of ['dispatchedAt', 'firstTokenAt'] as const) {
    const marks = traces.flatMap((own) => own[mark] ?? []);
    if (marks.length > 0) trace[mark] = Math.min(...marks);
  }
  const usages = traces.flatMap(({ usage }) => usage ?? []);
  if (usages.length > 0) trace.usage = usages.reduce(addUsage);
  // What the choice with the most tries needed: how often the request was tried, as its client sees it.
  const attempts = traces.flatMap((own) => (own.attempts === undefined ? [] : [own.attempts]));
  const most = attempts.reduce<Attempt[] | undefined>(
    (longest, own) => (longest === undefined || own.length > longest.length ? own : longest),
    undefined,
  );
  if (most !== undefined) trace.attempts = most;
  const served = traces.find(({ servedModel }) => servedModel !== undefined)?.servedModel;
  if (served !== undefined) trace.servedModel = served;
  if (traces.some((own) => own.lackedRetryBudget)) trace.lackedRetryBudget = true;
  if (failed) delete trace.finishReason;
}

function addUsage(one: Usage, other: Usage): Usage {
  const reasoningTokens = (one.reasoningTokens ?? 0) + (other.reasoningTokens ?? 0);
  return {
    promptTokens: one.promptTokens + other.promptTokens,
    completionTokens: one.completionTokens + other.completionTokens,
    cachedTokens: one.cachedTokens + other.cachedTokens,
    ...(reasoningTokens > 0 && { reasoningTokens }),
  };
}
