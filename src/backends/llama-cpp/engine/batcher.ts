/**
 * Continuous batching: one loop in which all running generations make one step together, so that the library can
 * decode them as one batch. Generations join and leave between steps; nobody waits for another's end.
 * Owns the waiting and the running generations. Each one that was added ends with exactly one of `finish`,
 * `failed` and `freed`, and only after its sequence is idle again.
 */
import type { EngineEvent, EngineGeneration } from '../messages.ts';
import { Generation } from './generation.ts';
import { ConversationRefusedError } from './jinja-template.ts';
import type { Model, Sequence, Token } from './library.ts';
import type { EncodedPrompt, PromptEncoder } from './prompt.ts';
import { SequencePool } from './sequence-pool.ts';
import type { ThreadGovernor } from './thread-governor.ts';

/** Prompt tokens per step beside running answers: about a tenth of a second on two cores, so answers keep flowing. */
const PROMPT_TOKENS_BESIDE_ANSWERS = 32;
/** With no answer running, a larger chunk reads a little faster; beyond this size nothing is gained, only aborts are later. */
export const PROMPT_TOKENS_ALONE = 64;

const CANNOT_THINK = 'think is set, but this model cannot think. Leave think away or set it to false.';
const RAW_CANNOT_THINK =
  'think needs the chat template, so it cannot go with a raw prompt. Leave one of the two away.';

export interface BatcherOptions {
  readonly model: Model;
  readonly sequences: readonly Sequence[];
  readonly prompts: PromptEncoder;
  readonly contextSize: number;
  readonly threads: ThreadGovernor;
  readonly setThreads: (threads: number) => void;
  readonly emit: (events: readonly EngineEvent[]) => void;
}

interface Share {
  readonly generation: Generation;
  /** Prompt tokens; 0 for an answer, which takes one token. */
  readonly share: number;
}

interface Waiting extends Omit<EncodedPrompt, 'tokens'> {
  readonly order: EngineGeneration;
  readonly prompt: Token[];
}

export class Batcher {
  readonly #options: BatcherOptions;
  readonly #pool: SequencePool;
  #waiting: Waiting[] = [];
  #running: Generation[] = [];
  readonly #aborted = new Set<number>();
  #loop: Promise<void> | undefined;
  #stopped = false;

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.#pool = new SequencePool(options.sequences);
  }

  add(order: EngineGeneration): void {
    const read = this.#read(order);
    if ('type' in read) {
      this.#options.emit([read]);
      return;
    }
    this.#waiting.push(read);
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

  /** The prompt's tokens, or why it can not be generated from. */
  #read(order: EngineGeneration): Waiting | EngineEvent {
    try {
      const encoded = this.#options.prompts.encode(order);
      const { tokens: prompt, ...answer } = encoded;
      return this.#refuse(order, encoded) ?? { order, prompt, ...answer };
    } catch (thrown) {
      if (!(thrown instanceof ConversationRefusedError))
        return failed(order.id, `The engine could not read the prompt: ${messageOf(thrown)}`);
      const message = `The model’s chat template refuses these messages: ${thrown.message}`;
      return { type: 'failed', id: order.id, code: 'invalid_request', param: 'messages', message };
    }
  }

  #refuse(order: EngineGeneration, { tokens, thought }: EncodedPrompt): EngineEvent | undefined {
    const { id, input, thinking } = order;
    const { contextSize } = this.#options;
    const param = input.kind === 'text' ? 'prompt' : 'messages';
    if (thinking !== false && thought === 'none') {
      const message = input.kind === 'text' ? RAW_CANNOT_THINK : CANNOT_THINK;
      return { type: 'failed', id, code: 'invalid_request', param: 'think', message };
    }
    if (tokens.length === 0) {
      const message = 'The prompt has no tokens: write at least one.';
      return { type: 'failed', id, code: 'invalid_request', param, message };
    }
    if (tokens.length < contextSize) return undefined;
    const message =
      `The prompt has ${tokens.length} tokens, but the context holds ${contextSize} tokens, prompt and answer together: ` +
      'shorten the prompt, or have the server’s context_size raised.';
    return { type: 'failed', id, code: 'context_length_exceeded', param, message };
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      // 1. Those that were aborted leave; those that wait take idle sequences.
      const events: EngineEvent[] = [...(await this.#dropAborted()), ...(await this.#admit())];
      if (events.length > 0) this.#options.emit(events);
      if (this.#running.length === 0 && this.#waiting.length === 0) break;
      // 2. All make one step together.
      const stepped = await this.#stepTogether(this.#plan());
      // 3. Those that ended free their sequences before anybody hears of it.
      const ended = this.#running.filter((generation) => generation.ended);
      for (const generation of ended) await this.#free(generation);
      const told = stepped.flat();
      if (told.length > 0) this.#options.emit(told);
    }
    this.#loop = undefined;
  }

  async #dropAborted(): Promise<EngineEvent[]> {
    const events: EngineEvent[] = [];
    for (const generation of this.#running.filter(({ id }) => this.#aborted.has(id))) {
      await this.#free(generation);
      events.push({ type: 'freed', id: generation.id });
    }
    this.#aborted.clear();
    return events;
  }

  async #admit(): Promise<EngineEvent[]> {
    const { model, contextSize } = this.#options;
    const events: EngineEvent[] = [];
    while (this.#pool.hasIdle) {
      const next = this.#waiting.shift();
      const sequence = next && this.#pool.take(next.prompt);
      if (!next || !sequence) break;
      const generation = new Generation({ ...next, sequence, model, contextSize });
      this.#running.push(generation);
      try {
        events.push(await generation.prepare());
      } catch (thrown) {
        events.push(await this.#fail(generation, thrown));
        await this.#free(generation);
      }
    }
    return events;
  }

  /** Who takes part in the next step: every answer, and prompts in their order as far as the step's share reaches. */
  #plan(): readonly Share[] {
    const answersRun = this.#running.some(({ promptTokensLeft }) => promptTokensLeft === 0);
    let left = answersRun ? PROMPT_TOKENS_BESIDE_ANSWERS : PROMPT_TOKENS_ALONE;
    const plan: Share[] = [];
    for (const generation of this.#running) {
      const share = Math.min(generation.promptTokensLeft, left);
      left -= share;
      if (generation.promptTokensLeft === 0 || share > 0) plan.push({ generation, share });
    }
    return plan;
  }

  async #stepTogether(plan: readonly Share[]): Promise<(readonly EngineEvent[])[]> {
    const { threads, setThreads } = this.#options;
    setThreads(threads.threads);
    const startedAt = performance.now();
    const stepped = await Promise.all(plan.map(({ generation, share }) => this.#step(generation, share)));
    const endedAt = performance.now();
    // As measured on two cores: a step of 1, 4 and 16 tokens takes 12, 38 and 104 ms.
    const tokens = plan.reduce((sum, { share }) => sum + Math.max(1, share), 0);
    threads.record((endedAt - startedAt) / (1 + tokens), endedAt);
    return stepped;
  }

  async #step(generation: Generation, share: number): Promise<readonly EngineEvent[]> {
    try {
      return await generation.step(share);
    } catch (thrown) {
      return [await this.#fail(generation, thrown)];
    }
  }

  /** What the sequence holds after a failure is not known: it forgets everything. */
  async #fail(generation: Generation, thrown: unknown): Promise<EngineEvent> {
    await generation.release();
    await generation.sequence.clearHistory();
    return failed(generation.id, `The engine could not go on: ${messageOf(thrown)}`);
  }

  async #free(generation: Generation): Promise<void> {
    await generation.release();
    this.#running = this.#running.filter((other) => other !== generation);
    this.#aborted.delete(generation.id);
    this.#pool.giveBack(generation.sequence);
  }
}

function failed(id: number, message: string): EngineEvent {
  return { type: 'failed', id, code: 'backend_error', message };
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
