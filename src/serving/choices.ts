/**
 * Several generations of one request at the same time. Each waits, runs and ends by itself; but they are one answer, so where
 * one fails the others are cancelled, and what it failed with is told when all have ended.
 */

import type { GenerationSink } from '../core/backend.ts';
import type { Cancellation } from '../core/cancellation.ts';
import { ServingError } from '../core/errors.ts';
import type { GenerationEvent, Usage } from '../core/generation.ts';
import type { RequestTrace } from '../core/request-trace.ts';

/** A generation that takes no more for a while. */
export interface Pausable {
  pause(): void;
  resume(): void;
}

export interface ChoicesSink {
  /** Of each choice in their order, of several in turn. */
  event(event: GenerationEvent, choice: number): void;
  /** All have finished. */
  done(): void;
  /** All have ended, one of them with this error. */
  fail(error: ServingError): void;
}

export interface ChoicesOptions {
  readonly choices: number;
  readonly trace: RequestTrace;
  readonly cancellation: Cancellation;
  /** Starts one; it writes on the given trace: the first on the request's own. */
  start(choice: number, trace: RequestTrace, sink: GenerationSink): Pausable;
}

/** No choices at all are done at once. */
export function startChoices(
  { choices, trace, cancellation, start }: ChoicesOptions,
  sink: ChoicesSink,
): Pausable {
  if (choices === 1) return start(0, trace, new OnlyChoice(sink));
  const failures: ServingError[] = [];
  let left = choices;
  // Shared by all: what any of them does without is known as soon as it is dropped.
  trace.droppedFields ??= [];
  const traces = Array.from({ length: choices }, (_, choice) => (choice === 0 ? trace : { ...trace }));
  const ended = () => {
    left -= 1;
    if (left > 0) return;
    const [failure] = failures;
    noteAll(trace, traces, { failed: failure !== undefined });
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
        if (event.type === 'finish') ended();
      },
      fail: (error) => {
        failures.push(error);
        // No fault of the others' backends.
        cancellation.cancel(
          new ServingError('client_gone', { message: 'Another answer to the request failed.' }),
        );
        ended();
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

class OnlyChoice implements GenerationSink {
  readonly #sink: ChoicesSink;

  constructor(sink: ChoicesSink) {
    this.#sink = sink;
  }

  event(event: GenerationEvent): void {
    this.#sink.event(event, 0);
    if (event.type === 'finish') this.#sink.done();
  }

  fail(error: ServingError): void {
    this.#sink.fail(error);
  }
}

/** The request's own trace has what is true of all: when the first of them began, and what they used together. */
function noteAll(
  trace: RequestTrace,
  traces: readonly RequestTrace[],
  { failed }: { readonly failed: boolean },
): void {
  for (const mark of ['dispatchedAt', 'firstTokenAt'] as const) {
    const marks = traces.flatMap((own) => own[mark] ?? []);
    if (marks.length > 0) trace[mark] = Math.min(...marks);
  }
  const usages = traces.flatMap(({ usage }) => usage ?? []);
  if (usages.length > 0) trace.usage = usages.reduce(sum);
  if (failed) delete trace.finishReason;
}

function sum(one: Usage, other: Usage): Usage {
  const reasoningTokens = (one.reasoningTokens ?? 0) + (other.reasoningTokens ?? 0);
  return {
    promptTokens: one.promptTokens + other.promptTokens,
    completionTokens: one.completionTokens + other.completionTokens,
    cachedTokens: one.cachedTokens + other.cachedTokens,
    ...(reasoningTokens > 0 && { reasoningTokens }),
  };
}
