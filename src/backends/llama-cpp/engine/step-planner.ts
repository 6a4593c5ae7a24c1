/**
 * Which generations take part in the next decode step: all answers, or prompts in their order up to the step's budget;
 * alternately where there are both. Pure: durations come in. `StepPlanner` owns whose turn it is, `PromptBudget` what
 * steps have cost.
 */
import type { Milliseconds } from '../../../core/clock.ts';
import type { Generation } from './generation.ts';
import type { Chunk } from './sequences.ts';

export interface StepPart {
  readonly generation: Generation;
  readonly chunk: Chunk;
  /** Of the chunk; 0 for an answer. */
  readonly promptTokens: number;
}

export class StepPlanner {
  readonly #promptTokensAlone: number;
  readonly #budget: PromptBudget;
  /** The last step was one of prompts. */
  #evaluatedPrompts = false;

  /** `promptTokensAlone`: the most prompt tokens of one step. */
  constructor(promptTokensAlone: number) {
    this.#promptTokensAlone = promptTokensAlone;
    this.#budget = new PromptBudget(promptTokensAlone);
  }

  /** Takes the chunks from the generations. A mixed step would be no faster: llama.cpp computes it in two passes. */
  plan(running: readonly Generation[]): readonly StepPart[] {
    const answers = running.filter(({ promptTokensLeft }) => promptTokensLeft === 0);
    this.#evaluatedPrompts =
      answers.length === 0 || (answers.length < running.length && !this.#evaluatedPrompts);
    const parts = this.#evaluatedPrompts
      ? this.#prompts(running, answers.length)
      : answers.map((generation) => ({ generation, chunk: generation.nextChunk(0), promptTokens: 0 }));
    // llama.cpp computes neighbouring sequences together, and only in their order.
    return parts.sort((one, other) => one.generation.sequence.id - other.generation.sequence.id);
  }

  /** A step of these parts is over. */
  record(parts: readonly StepPart[], durationMs: Milliseconds): void {
    const answers = parts.filter(({ promptTokens }) => promptTokens === 0).length;
    const promptTokens = parts.reduce((sum, part) => sum + part.promptTokens, 0);
    this.#budget.record({ answers, promptTokens, durationMs });
  }

  #prompts(running: readonly Generation[], answers: number): StepPart[] {
    let left =
      answers > 0
        ? this.#budget.besideAnswers({ running: running.length, answers })
        : this.#promptTokensAlone;
    const parts: StepPart[] = [];
    for (const generation of running) {
      const promptTokens = Math.min(generation.promptTokensLeft, left);
      if (promptTokens === 0) continue;
      left -= promptTokens;
      parts.push({ generation, chunk: generation.nextChunk(promptTokens), promptTokens });
    }
    return parts;
  }
}

/** On a CPU a larger step gains little and delays aborts; a GPU computes many tokens in the time of one. */
export const PROMPT_TOKENS_ALONE = { cpu: 64, gpu: 512 } as const;
const MIN_BESIDE_ANSWERS = 8;
/** Streams may pause for four times their usual gap; this leaves room for the machine's own variation. */
const GAP_FACTOR = 2.25;
const NEWEST_WEIGHT = 0.2;

/**
 * How many prompt tokens a step may take between two steps of answers: so many that answers are at most GAP_FACTOR
 * times as far apart as they will be once every running generation is an answer. Streams stay steady, and prompts are
 * read as fast as that allows. Invariant: only steps of answers alone count as usual; otherwise a slow prompt would
 * raise its own budget.
 */
export class PromptBudget {
  readonly #max: number;
  /** By the number of answers in a step. */
  readonly #answersMs = new Map<number, Milliseconds>();
  #promptTokenMs: Milliseconds | undefined;

  /** `max`: prompt tokens in one step. */
  constructor(max: number) {
    this.#max = max;
  }

  /** `running`: all generations, those whose prompts are being read included; `answers`: the others. */
  besideAnswers({ running, answers }: { readonly running: number; readonly answers: number }): number {
    const tokenMs = this.#promptTokenMs;
    if (tokenMs === undefined) return MIN_BESIDE_ANSWERS;
    const allowedMs = GAP_FACTOR * this.#usualMs(running) - this.#usualMs(answers);
    return Math.max(MIN_BESIDE_ANSWERS, Math.min(this.#max, Math.floor(allowedMs / tokenMs)));
  }

  /** `answers`: those that got a token in the step. */
  record(step: {
    readonly answers: number;
    readonly promptTokens: number;
    readonly durationMs: Milliseconds;
  }): void {
    const { answers, promptTokens, durationMs } = step;
    if (promptTokens === 0) {
      this.#answersMs.set(answers, average(this.#answersMs.get(answers), durationMs));
      return;
    }
    const promptMs = Math.max(0, durationMs - this.#usualMs(answers));
    this.#promptTokenMs = average(this.#promptTokenMs, promptMs / promptTokens);
  }

  /** Of a step with so many answers and no prompt; estimated from the nearest number where this one was never seen. */
  #usualMs(answers: number): Milliseconds {
    if (answers === 0) return 0;
    const seen = this.#answersMs.get(answers);
    if (seen !== undefined) return seen;
    let nearest: number | undefined;
    for (const count of this.#answersMs.keys()) {
      if (nearest === undefined || Math.abs(count - answers) < Math.abs(nearest - answers)) nearest = count;
    }
    // Another answer costs a step about as much as another token of a prompt.
    const tokenMs = this.#promptTokenMs ?? 0;
    if (nearest === undefined) return tokenMs * answers;
    return Math.max(0, (this.#answersMs.get(nearest) ?? 0) + tokenMs * (answers - nearest));
  }
}

function average(before: number | undefined, newest: number): number {
  return before === undefined ? newest : before + NEWEST_WEIGHT * (newest - before);
}
