/**
 * Who takes part in the next decode step: all answers, or prompts in their order as far as the step's share reaches; in
 * turn where there are both. Pure. Owns whose turn it is, and what steps have cost.
 */
import type { Milliseconds } from '../../../core/clock.ts';
import type { Chunk } from './decode-step.ts';
import type { Generation } from './generation.ts';
import { PromptBudget } from './prompt-budget.ts';

export interface Part {
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
  plan(running: readonly Generation[]): readonly Part[] {
    const answers = running.filter(({ promptTokensLeft }) => promptTokensLeft === 0);
    this.#readPrompts = answers.length === 0 || (answers.length < running.length && !this.#readPrompts);
    const parts = this.#readPrompts
      ? this.#prompts(running, answers.length)
      : answers.map((generation) => ({ generation, chunk: generation.nextChunk(0), promptTokens: 0 }));
    // llama.cpp computes neighbouring sequences together, and only in their order.
    return parts.sort((one, other) => one.generation.sequence.id - other.generation.sequence.id);
  }

  /** A step of these parts is over. */
  learn(parts: readonly Part[], durationMs: Milliseconds): void {
    const answers = parts.filter(({ promptTokens }) => promptTokens === 0).length;
    const promptTokens = parts.reduce((sum, part) => sum + part.promptTokens, 0);
    this.#budget.record({ answers, promptTokens, durationMs });
  }

  #prompts(running: readonly Generation[], answers: number): Part[] {
    let left =
      answers > 0
        ? this.#budget.besideAnswers({ running: running.length, answers })
        : this.#promptTokensAlone;
    const parts: Part[] = [];
    for (const generation of running) {
      const promptTokens = Math.min(generation.promptTokensLeft, left);
      if (promptTokens === 0) continue;
      left -= promptTokens;
      parts.push({ generation, chunk: generation.nextChunk(promptTokens), promptTokens });
    }
    return parts;
  }
}
