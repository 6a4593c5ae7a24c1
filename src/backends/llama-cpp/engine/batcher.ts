/**
 * Continuous batching: one loop in which all running generations make one step together, decoded as one batch.
 * Generations join and leave between steps; nobody waits for another's end. A paused one keeps its sequence and takes
 * part in no step. Owns the waiting and the running generations. Each one that was added ends with exactly one of `finish`, `failed` and `freed`, and only after its
 * sequence is idle again.
 */
import type { Milliseconds } from '../../../core/clock.ts';
import { ServingError } from '../../../core/errors.ts';
import type { EngineEvent, EngineGenerationRequest } from '../messages.ts';
import type { Admit, AdmittedRequest } from './admission.ts';
import type { PausableWorker } from './engine-worker.ts';
import { type FailedEvent, failedEvent, messageOf } from './engine-worker.ts';
import { Generation } from './generation.ts';
import type { Model, Token } from './library.ts';
import type { NativeContext } from './native.ts';
import type { LogprobReader } from './sampler.ts';
import type { Sequence } from './sequences.ts';
import { decode, SequencePool } from './sequences.ts';
import { type StepPart, StepPlanner } from './step-planner.ts';
import type { ThreadGovernor } from './threads.ts';

export interface BatcherOptions {
  readonly model: Model;
  readonly context: NativeContext;
  readonly sequences: readonly Sequence[];
  readonly admit: Admit;
  readonly logprobs: LogprobReader;
  readonly contextSize: number;
  /** Of prompts in a step without answers. */
  readonly promptTokensAlone: number;
  readonly threads: ThreadGovernor;
  readonly emit: (events: readonly EngineEvent[]) => void;
  readonly onStep: () => void;
}

export class Batcher implements PausableWorker<EngineGenerationRequest> {
  readonly #options: BatcherOptions;
  readonly #pool: SequencePool;
  readonly #planner: StepPlanner;
  #waiting: AdmittedRequest[] = [];
  #running: Generation[] = [];
  /** Neither waiting nor running: a beginning is being copied for it. */
  #placing: number | undefined;
  readonly #aborted = new Set<number>();
  /** Of those that wait, run, or are being placed. */
  readonly #paused = new Set<number>();
  #loop: Promise<void> | undefined;
  #stopped = false;

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.#planner = new StepPlanner(options.promptTokensAlone);
    this.#pool = new SequencePool(options.sequences, options.contextSize);
  }

  add(order: EngineGenerationRequest): void {
    const admitted = this.#options.admit(order);
    if ('type' in admitted) {
      this.#options.emit([{ id: order.id, event: admitted }]);
      return;
    }
    this.#waiting.push(admitted);
    this.#loop ??= this.#run();
  }

  /** Takes effect before the next step; unknown ids have ended already. */
  abort(id: number): void {
    const waiting = this.#waiting.length;
    this.#waiting = this.#waiting.filter(({ order }) => order.id !== id);
    if (this.#waiting.length < waiting) {
      this.#paused.delete(id);
      this.#options.emit([freed(id)]);
    } else if (this.#isPlaced(id)) {
      this.#aborted.add(id);
      this.#loop ??= this.#run();
    }
  }

  pause(id: number): void {
    if (this.#isPlaced(id) || this.#waiting.some(({ order }) => order.id === id)) this.#paused.add(id);
  }

  resume(id: number): void {
    if (this.#paused.delete(id)) this.#loop ??= this.#run();
  }

  /** Settles when the step under way is over; nothing is decoded afterwards. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
  }

  async #run(): Promise<void> {
    let told: readonly EngineEvent[] = [];
    while (!this.#stopped) {
      // 1. Those that were aborted leave; those that wait take idle sequences, unless they are aborted meanwhile.
      told = [...told, ...this.#dropAborted(), ...(await this.#admit()), ...this.#dropAborted()];
      const stepping = this.#running.filter(({ id }) => !this.#paused.has(id));
      if (stepping.length === 0) {
        if (this.#waiting.length > 0 && this.#pool.hasIdle) continue;
        // Until another comes, or one that is paused is resumed or aborted.
        break;
      }
      // 2. All make one step together. Once it is under way, everybody hears of what was before it.
      told = await this.#stepTogether(this.#planner.plan(stepping), told);
      // 3. Those that ended free their sequences before anybody hears of it.
      for (const generation of this.#running.filter(({ ended }) => ended)) this.#free(generation);
    }
    this.#tell(told);
    this.#loop = undefined;
  }

  /** It has a sequence, or is about to get one. */
  #isPlaced(id: number): boolean {
    return this.#placing === id || this.#running.some((generation) => generation.id === id);
  }

  #tell(events: readonly EngineEvent[]): void {
    if (events.length > 0) this.#options.emit(events);
  }

  #dropAborted(): EngineEvent[] {
    const left = this.#running.filter(({ id }) => this.#aborted.has(id));
    for (const generation of left) this.#free(generation);
    this.#aborted.clear();
    return left.map(({ id }) => freed(id));
  }

  async #admit(): Promise<EngineEvent[]> {
    const events: EngineEvent[] = [];
    while (this.#pool.hasIdle) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#placing = next.order.id;
      events.push(await this.#place(next));
      this.#placing = undefined;
    }
    return events;
  }

  /** Gives it a sequence that holds as much of its prompt as there is; the last token is always evaluated, for its logits. */
  async #place({ order, prompt, grammar, banned }: AdmittedRequest): Promise<EngineEvent> {
    const { model, contextSize } = this.#options;
    const place = this.#pool.take(prompt.tokens, order.cacheScope);
    if (place === undefined) throw new Error('No sequence is idle.');
    const { sequence, donor } = place;
    try {
      if (donor !== undefined) await sequence.copyFrom(donor);
      const shared = sequence.sharedWith(prompt.tokens, order.cacheScope);
      sequence.keep(Math.min(shared, prompt.tokens.length - 1), order.cacheScope);
      sequence.sampler.begin(order, banned);
    } catch (thrown) {
      this.#pool.giveBack(sequence);
      sequence.clear();
      this.#paused.delete(order.id);
      return { id: order.id, event: engineFailure(thrown) };
    }
    const generation = new Generation({ order, prompt, grammar, sequence, model, contextSize });
    this.#running.push(generation);
    return { id: order.id, event: generation.start() };
  }

  /**
   * `before` is told while the step computes: whoever hears it wakes up, and where a step's threads are only being made
   * then, the kernel puts two of them on one core.
   */
  async #stepTogether(
    parts: readonly StepPart[],
    before: readonly EngineEvent[],
  ): Promise<readonly EngineEvent[]> {
    const { context, threads } = this.#options;
    context.setThreads(threads.threads);
    const startedAt = performance.now();
    let logitIndexes: readonly (number | undefined)[];
    const decoded = decode(
      context,
      parts.map(({ chunk }) => chunk),
    );
    this.#tell(before);
    try {
      logitIndexes = await decoded;
    } catch (thrown) {
      return parts.map(({ generation }) => ({ id: generation.id, event: this.#fail(generation, thrown) }));
    }
    const endedAt = performance.now();
    this.#planner.learn(parts, endedAt - startedAt);
    const tokens = parts.reduce((sum, { chunk }) => sum + chunk.tokens.length, 0);
    threads.recordStep({ tokens, durationMs: endedAt - startedAt }, endedAt);
    // All tokens are chosen at once; log-probabilities are read one after the other, as all share their samplers.
    const stepMs = endedAt - startedAt;
    const chosen = await Promise.all(
      parts.map(({ generation }, index) => this.#choose(generation, logitIndexes[index], stepMs)),
    );
    const told: EngineEvent[] = [];
    for (const [index, { generation }] of parts.entries()) {
      const { id } = generation;
      const token = chosen[index];
      if (typeof token === 'number') {
        for (const event of await this.#accept(generation, token, logitIndexes[index]))
          told.push({ id, event });
      } else if (token !== undefined) {
        told.push({ id, event: token });
      }
    }
    this.#options.onStep();
    return told;
  }

  /** The token, or what ends the generation; nothing within a prompt. */
  async #choose(
    generation: Generation,
    logitIndex: number | undefined,
    stepMs: Milliseconds,
  ): Promise<Token | FailedEvent | undefined> {
    if (logitIndex === undefined) return undefined;
    const { sampler } = generation.sequence;
    try {
      const grammar = generation.takeGrammar();
      if (grammar !== undefined) sampler.constrain(grammar);
      generation.watch?.beforeChoice();
      const startedAt = performance.now();
      const token = await sampler.sample(this.#options.context, logitIndex);
      generation.watch?.chosen(token, { choiceMs: performance.now() - startedAt, stepMs });
      return token;
    } catch (thrown) {
      return this.#fail(generation, thrown);
    }
  }

  async #accept(
    generation: Generation,
    token: Token,
    logitIndex: number | undefined,
  ): Promise<readonly EngineEvent['event'][]> {
    const wish = generation.order.logprobs;
    try {
      const logprob =
        wish && logitIndex !== undefined
          ? await this.#options.logprobs.read(logitIndex, token, wish.top)
          : undefined;
      return generation.accept(token, logprob);
    } catch (thrown) {
      return [this.#fail(generation, thrown)];
    }
  }

  /** What the sequence holds after a failure is not known: it forgets everything. */
  #fail(generation: Generation, thrown: unknown): FailedEvent {
    generation.leave();
    generation.sequence.clear();
    const param = generation.order.grammarField ?? 'tools';
    if (thrown instanceof ServingError) return { param, ...failedEvent(thrown, 'go on') };
    return engineFailure(thrown);
  }

  #free(generation: Generation): void {
    this.#running = this.#running.filter((other) => other !== generation);
    this.#aborted.delete(generation.id);
    this.#paused.delete(generation.id);
    generation.sequence.sampler.end();
    this.#pool.giveBack(generation.sequence);
  }
}

function freed(id: number): EngineEvent {
  return { id, event: { type: 'freed' } };
}

function engineFailure(thrown: unknown): FailedEvent {
  const message = `The engine could not go on: ${messageOf(thrown)}`;
  return { type: 'failed', code: 'backend_error', message };
}
