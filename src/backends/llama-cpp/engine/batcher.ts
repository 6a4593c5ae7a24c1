/**
 * Continuous batching: one loop in which all running generations make one step together, decoded as one batch.
 * Generations join and leave between steps; nobody waits for another's end. Owns the waiting and the running
 * generations. Each one that was added ends with exactly one of `finish`, `failed` and `freed`, and only after its
 * sequence is idle again.
 */
import type { EngineEvent, EngineGeneration } from '../messages.ts';
import type { Admit, AdmittedOrder } from './admission.ts';
import { type Chunk, decode } from './decode-step.ts';
import { Generation } from './generation.ts';
import type { Model } from './library.ts';
import type { LogprobReader } from './logprob-reader.ts';
import type { NativeContext } from './native.ts';
import { PROMPT_TOKENS_ALONE, PromptBudget } from './prompt-budget.ts';
import type { Sequence } from './sequence.ts';
import { SequencePool } from './sequence-pool.ts';
import type { ThreadGovernor } from './thread-governor.ts';

export interface BatcherOptions {
  readonly model: Model;
  readonly context: NativeContext;
  readonly sequences: readonly Sequence[];
  readonly admit: Admit;
  readonly logprobs: LogprobReader;
  readonly contextSize: number;
  readonly threads: ThreadGovernor;
  readonly emit: (events: readonly EngineEvent[]) => void;
  readonly onStep: () => void;
}

interface Part {
  readonly generation: Generation;
  readonly chunk: Chunk;
}

export class Batcher {
  readonly #options: BatcherOptions;
  readonly #pool: SequencePool;
  readonly #budget = new PromptBudget();
  #waiting: AdmittedOrder[] = [];
  #running: Generation[] = [];
  readonly #aborted = new Set<number>();
  #loop: Promise<void> | undefined;
  #stopped = false;

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.#pool = new SequencePool(options.sequences);
  }

  add(order: EngineGeneration): void {
    const admitted = this.#options.admit(order);
    if ('type' in admitted) {
      this.#options.emit([admitted]);
      return;
    }
    this.#waiting.push(admitted);
    this.#loop ??= this.#run();
  }

  /** Takes effect before the next step; unknown ids have ended already. */
  abort(id: number): void {
    const waiting = this.#waiting.length;
    this.#waiting = this.#waiting.filter(({ order }) => order.id !== id);
    if (this.#waiting.length < waiting) this.#options.emit([{ type: 'freed', id }]);
    else if (this.#running.some((generation) => generation.id === id)) this.#aborted.add(id);
  }

  /** Settles when the step under way is over; nothing is decoded afterwards. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      // 1. Those that were aborted leave; those that wait take idle sequences.
      const events: EngineEvent[] = [...this.#dropAborted(), ...(await this.#admit())];
      if (events.length > 0) this.#options.emit(events);
      if (this.#running.length === 0 && this.#waiting.length === 0) break;
      // 2. All make one step together.
      const told = await this.#stepTogether(this.#plan());
      // 3. Those that ended free their sequences before anybody hears of it.
      for (const generation of this.#running.filter(({ ended }) => ended)) this.#free(generation);
      if (told.length > 0) this.#options.emit(told);
    }
    this.#loop = undefined;
  }

  #dropAborted(): EngineEvent[] {
    const left = this.#running.filter(({ id }) => this.#aborted.has(id));
    for (const generation of left) this.#free(generation);
    this.#aborted.clear();
    return left.map(({ id }) => ({ type: 'freed', id }));
  }

  async #admit(): Promise<EngineEvent[]> {
    const events: EngineEvent[] = [];
    while (this.#pool.hasIdle) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      events.push(await this.#place(next));
    }
    return events;
  }

  /** Gives it a sequence that holds as much of its prompt as there is; the last token is always evaluated, for its logits. */
  async #place({ order, prompt, grammar }: AdmittedOrder): Promise<EngineEvent> {
    const { model, contextSize } = this.#options;
    const place = this.#pool.take(prompt.tokens, order.cacheScope);
    if (place === undefined) throw new Error('No sequence is idle.');
    const { sequence, donor } = place;
    try {
      if (donor !== undefined) await sequence.copyFrom(donor);
      const shared = sequence.sharedWith(prompt.tokens, order.cacheScope);
      sequence.keep(Math.min(shared, prompt.tokens.length - 1), order.cacheScope);
      sequence.sampler.begin(order.sampling);
    } catch (thrown) {
      this.#pool.giveBack(sequence);
      sequence.clear();
      return engineFailure(order.id, thrown);
    }
    const generation = new Generation({ order, prompt, grammar, sequence, model, contextSize });
    this.#running.push(generation);
    return generation.start();
  }

  /** Who takes part in the next step: every answer, and prompts in their order as far as the step's share reaches. */
  #plan(): readonly Part[] {
    const running = this.#running.length;
    const answers = this.#running.filter(({ promptTokensLeft }) => promptTokensLeft === 0).length;
    let left = answers > 0 ? this.#budget.besideAnswers({ running, answers }) : PROMPT_TOKENS_ALONE;
    const parts: Part[] = [];
    for (const generation of this.#running) {
      const share = Math.min(generation.promptTokensLeft, left);
      if (generation.promptTokensLeft > 0 && share === 0) continue;
      left -= share;
      parts.push({ generation, chunk: generation.nextChunk(share) });
    }
    return parts;
  }

  async #stepTogether(parts: readonly Part[]): Promise<readonly EngineEvent[]> {
    const { context, threads } = this.#options;
    context.setThreads(threads.threads);
    const startedAt = performance.now();
    let logitIndexes: readonly (number | undefined)[];
    try {
      logitIndexes = await decode(
        context,
        parts.map(({ chunk }) => chunk),
      );
    } catch (thrown) {
      return parts.map(({ generation }) => this.#fail(generation, thrown));
    }
    this.#record(parts, startedAt);
    const told = await Promise.all(
      parts.map(({ generation }, index) => this.#sample(generation, logitIndexes[index])),
    );
    this.#options.onStep();
    return told.flat();
  }

  #record(parts: readonly Part[], startedAt: number): void {
    const endedAt = performance.now();
    const durationMs = endedAt - startedAt;
    const tokens = parts.reduce((sum, { chunk }) => sum + chunk.tokens.length, 0);
    this.#budget.record(tokens, durationMs);
    // A step of more tokens takes longer, but not in proportion: it reads the weights once.
    this.#options.threads.record(durationMs / (1 + tokens), endedAt);
  }

  async #sample(generation: Generation, logitIndex: number | undefined): Promise<readonly EngineEvent[]> {
    if (logitIndex === undefined) return [];
    const { context, logprobs } = this.#options;
    const { sequence, order } = generation;
    try {
      const grammar = generation.takeGrammar();
      if (grammar !== undefined) sequence.sampler.constrain(grammar);
      const token = await sequence.sampler.sample(context, logitIndex);
      const wish = order.logprobs;
      const logprob = wish && (await logprobs.read(logitIndex, token, wish.top));
      return generation.accept(token, logprob);
    } catch (thrown) {
      return [this.#fail(generation, thrown)];
    }
  }

  /** What the sequence holds after a failure is not known: it forgets everything. */
  #fail(generation: Generation, thrown: unknown): EngineEvent {
    generation.leave();
    generation.sequence.clear();
    return engineFailure(generation.id, thrown);
  }

  #free(generation: Generation): void {
    this.#running = this.#running.filter((other) => other !== generation);
    this.#aborted.delete(generation.id);
    generation.sequence.sampler.end();
    this.#pool.giveBack(generation.sequence);
  }
}

function engineFailure(id: number, thrown: unknown): EngineEvent {
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return { type: 'failed', id, code: 'backend_error', message: `The engine could not go on: ${reason}` };
}
