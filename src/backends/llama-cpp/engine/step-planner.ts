/**
 * Who takes part in the next decode step: all answers, or prompts in their order as far as the step's share reaches; in
 * turn where there are both. Pure. Owns whose turn it is, and what steps have cost.
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
  #readPrompts = false;

  /** `promptTokensAlone`: of prompts in a step, at most. */
  constructor(promptTokensAlone: number) {
    this.#promptTokensAlone = promptTokensAlone;
    this.#budget = new PromptBudget(promptTokensAlone);
  }

  /** Takes the chunks from the generations. llama.cpp would compute a mixed step in two passes as well, and the answers would wait. */
  plan(running: readonly Generation[]): readonly StepPart[] {
    const answers = running.filter(({ promptTokensLeft }) => promptTokensLeft === 0);
    this.#readPrompts = answers.length === 0 || (answers.length < running.length && !this.#readPrompts);
    const parts = this.#readPrompts
      ? this.#prompts(running, answers.length)
      : answers.map((generation) => ({ generation, chunk: generation.nextChunk(0), promptTokens: 0 }));
    // llama.cpp computes neighbouring sequences together, and only in their order.
    return parts.sort((one, other) => one.generation.sequence.id - other.generation.sequence.id);
  }

  /** A step of these parts is over. */
  learn(parts: readonly StepPart[], durationMs: Milliseconds): void {
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

/**
 * How many prompt tokens a decode step may take. Alone, as many as the batch holds. Between two steps of answers, so many
 * that they are at most GAP_FACTOR times as far apart as they will be once all that run are answered: their readers see
 * a steady stream, and prompts are read as fast as that allows. Pure: durations come in. Owns what steps and tokens cost, learnt
 * from recent ones. Invariant: only steps of answers alone say what is usual, or else a slow prompt would allow itself
 * ever more.
 */

/** On a CPU little is gained beyond this size, only aborts are later; a GPU computes many tokens in the time of one. */
export const PROMPT_TOKENS_ALONE = { cpu: 64, gpu: 512 } as const;
const MIN_BESIDE_ANSWERS = 8;
/** Streams may halt for four times their usual gap; this leaves room for what a machine varies. */
const GAP_FACTOR = 2.25;
const WEIGHT_OF_NEWEST = 0.2;

interface Step {
  /** Answers that got a token in it. */
  readonly answers: number;
  readonly promptTokens: number;
  readonly durationMs: Milliseconds;
}

export class PromptBudget {
  readonly #most: number;
  /** By the number of answers in a step. */
  readonly #answersMs = new Map<number, Milliseconds>();
  #promptTokenMs: Milliseconds | undefined;

  /** `most`: of prompt tokens in one step. */
  constructor(most: number) {
    this.#most = most;
  }

  /** `running`: all generations, those whose prompts are being read included; `answers`: the others. */
  besideAnswers({ running, answers }: { readonly running: number; readonly answers: number }): number {
    const tokenMs = this.#promptTokenMs;
    if (tokenMs === undefined) return MIN_BESIDE_ANSWERS;
    const allowedMs = GAP_FACTOR * this.#usualMs(running) - this.#usualMs(answers);
    return Math.max(MIN_BESIDE_ANSWERS, Math.min(this.#most, Math.floor(allowedMs / tokenMs)));
  }

  record({ answers, promptTokens, durationMs }: Step): void {
    if (promptTokens === 0) {
      this.#answersMs.set(answers, average(this.#answersMs.get(answers), durationMs));
      return;
    }
    const ofPrompt = Math.max(0, durationMs - this.#usualMs(answers));
    this.#promptTokenMs = average(this.#promptTokenMs, ofPrompt / promptTokens);
  }

  /** Of a step with so many answers and no prompt; from the nearest number that was seen, where this one was not. */
  #usualMs(answers: number): Milliseconds {
    if (answers === 0) return 0;
    const seen = this.#answersMs.get(answers);
    if (seen !== undefined) return seen;
    let nearest: number | undefined;
    for (const count of this.#answersMs.keys()) {
      if (nearest === undefined || Math.abs(count - answers) < Math.abs(nearest - answers)) nearest = count;
    }
    // A step costs about as much for another answer as for another token of a prompt.
    const tokenMs = this.#promptTokenMs ?? 0;
    if (nearest === undefined) return tokenMs * answers;
    return Math.max(0, (this.#answersMs.get(nearest) ?? 0) + tokenMs * (answers - nearest));
  }
}

function average(before: number | undefined, newest: number): number {
  return before === undefined ? newest : before + WEIGHT_OF_NEWEST * (newest - before);
}
