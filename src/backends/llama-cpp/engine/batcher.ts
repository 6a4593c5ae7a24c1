/**
 * Continuous batching: one loop, in which all running generations make one step together, decoded as one batch.
 * Generations join and leave between steps; none waits for the end of another. A paused one keeps its sequence and takes
 * part in no step. Owns the waiting and the running generations. Invariant: each generation that was added ends with
 * exactly one of `finish`, `failed` and `freed`, and only after its sequence is idle again.
 */
import type { Milliseconds } from '../../../core/clock.ts';
import { ServingError } from '../../../core/errors.ts';
import type { EngineEvent, EngineGenerationRequest } from '../messages.ts';
import type { Admit, AdmittedRequest } from './admission.ts';
import { type EngineWorker, type FailedEvent, failedEvent, messageOf } from './engine-worker.ts';
import { Generation } from './generation.ts';
import type { Model, NativeContext, Token } from './library.ts';
import type { LogprobReader } from './sampler.ts';
import { decode, type Sequence, SequencePool } from './sequences.ts';
import { type StepPart, StepPlanner } from './step-planner.ts';
import type { ThreadGovernor } from './threads.ts';

interface BatcherOptions {
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
  /** A step computes, and what the one before had to say is on its way: the best moment for other work of this thread. */
  readonly onDecoding: () => void;
  /** No step is due any more. */
  readonly onRest: () => void;
}

export class Batcher implements EngineWorker<EngineGenerationRequest> {
  readonly #options: BatcherOptions;
  readonly #pool: SequencePool;
  readonly #planner: StepPlanner;
  #waiting: AdmittedRequest[] = [];
  #running: Generation[] = [];
  /** Neither waiting nor running: a prefix is being copied for it. */
  #placing: number | undefined;
  readonly #aborted = new Set<number>();
  /** Waiting, running or being placed. */
  readonly #paused = new Set<number>();
  #loop: Promise<void> | undefined;
  #stopped = false;

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.#planner = new StepPlanner(options.promptTokensAlone);
    this.#pool = new SequencePool(options.sequences, options.contextSize);
  }

  /** Part of the KV cache that its requests hold, 0 to 1. */
  get kvCacheUsed(): number {
    return this.#pool.used;
  }

  get isStepping(): boolean {
    return this.#loop !== undefined;
  }

  add(request: EngineGenerationRequest): void {
    const admitted = this.#options.admit(request);
    if ('type' in admitted) {
      this.#options.emit([{ id: request.id, event: admitted }]);
      return;
    }
    this.#waiting.push(admitted);
    this.#loop ??= this.#run();
  }

  abort(id: number): void {
    const waiting = this.#waiting.length;
    this.#waiting = this.#waiting.filter(({ request }) => request.id !== id);
    if (this.#waiting.length < waiting) {
      this.#paused.delete(id);
      this.#options.emit([freed(id)]);
    } else if (this.#isPlaced(id)) {
      this.#aborted.add(id);
      this.#loop ??= this.#run();
    }
  }

  pause(id: number): void {
    if (this.#isPlaced(id) || this.#waiting.some(({ request }) => request.id === id)) this.#paused.add(id);
  }

  resume(id: number): void {
    if (this.#paused.delete(id)) this.#loop ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
  }

  async #run(): Promise<void> {
    let events: readonly EngineEvent[] = [];
    while (!this.#stopped) {
      // 1. Aborted ones leave; waiting ones take idle sequences, unless they are aborted meanwhile.
      events = [...events, ...this.#dropAborted(), ...(await this.#admit()), ...this.#dropAborted()];
      const stepping = this.#running.filter(({ id }) => !this.#paused.has(id));
      if (stepping.length === 0) {
        if (this.#waiting.length > 0 && this.#pool.hasIdle) continue;
        // Until another is added, or a paused one is resumed or aborted.
        break;
      }
      // 2. All make one step together. The events from before are sent once it is under way.
      events = await this.#step(this.#planner.plan(stepping), events);
      // 3. Ended ones free their sequences before their last events are sent.
      for (const generation of this.#running.filter(({ ended }) => ended)) this.#free(generation);
    }
    this.#emit(events);
    this.#loop = undefined;
    this.#options.onRest();
  }

  /** It has a sequence, or is about to get one. */
  #isPlaced(id: number): boolean {
    return this.#placing === id || this.#running.some((generation) => generation.id === id);
  }

  #emit(events: readonly EngineEvent[]): void {
    if (events.length > 0) this.#options.emit(events);
  }

  #dropAborted(): EngineEvent[] {
    const dropped = this.#running.filter(({ id }) => this.#aborted.has(id));
    for (const generation of dropped) this.#free(generation);
    this.#aborted.clear();
    return dropped.map(({ id }) => freed(id));
  }

  async #admit(): Promise<EngineEvent[]> {
    const events: EngineEvent[] = [];
    while (this.#pool.hasIdle) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#placing = next.request.id;
      events.push(...(await this.#place(next)));
      this.#placing = undefined;
    }
    return events;
  }

  /** Gives it the sequence that holds most of its prompt. The last token is always evaluated, for its logits. */
  async #place(admitted: AdmittedRequest): Promise<readonly EngineEvent[]> {
    const { model, contextSize } = this.#options;
    const { request, prompt, banned } = admitted;
    const placement = this.#pool.take(prompt.tokens, request.cacheScope);
    if (placement === undefined) throw new Error('No sequence is idle.');
    const { sequence, donor } = placement;
    try {
      if (donor !== undefined) await sequence.copyFrom(donor);
      const shared = sequence.sharedWith(prompt.tokens, request.cacheScope);
      sequence.keep(Math.min(shared, prompt.tokens.length - 1), request.cacheScope);
      sequence.sampler.begin(request, banned);
    } catch (thrown) {
      this.#pool.giveBack(sequence);
      sequence.clear();
      this.#paused.delete(request.id);
      return [{ id: request.id, event: engineFailure(thrown) }];
    }
    const generation = new Generation({ admitted, sequence, model, contextSize });
    this.#running.push(generation);
    return generation.start().map((event) => ({ id: request.id, event }));
  }

  /**
   * `before` is sent while the step computes: its receiver wakes up, and if the threads of a step were created only then,
   * the kernel would put two of them on one core.
   */
  async #step(parts: readonly StepPart[], before: readonly EngineEvent[]): Promise<readonly EngineEvent[]> {
    const { context, threads } = this.#options;
    context.setThreads(threads.threads);
    const startedAt = performance.now();
    let logitIndexes: readonly (number | undefined)[];
    const decoded = decode(
      context,
      parts.map(({ chunk }) => chunk),
    );
    this.#emit(before);
    this.#options.onDecoding();
    try {
      logitIndexes = await decoded;
    } catch (thrown) {
      return parts.map(({ generation }) => ({ id: generation.id, event: this.#fail(generation, thrown) }));
    }
    const endedAt = performance.now();
    const stepMs = endedAt - startedAt;
    this.#planner.record(parts, stepMs);
    const tokens = parts.reduce((sum, { chunk }) => sum + chunk.tokens.length, 0);
    threads.recordStep({ tokens, durationMs: stepMs }, endedAt);
    // All tokens are chosen at once. Log-probabilities are read one after the other, since all share their samplers.
    const chosen = await Promise.all(
      parts.map(({ generation }, index) => this.#choose(generation, logitIndexes[index], stepMs)),
    );
    const events: EngineEvent[] = [];
    for (const [index, { generation }] of parts.entries()) {
      const { id } = generation;
      const token = chosen[index];
      if (typeof token === 'number') {
        for (const event of await this.#accept(generation, token, logitIndexes[index])) {
          const tokens = generation.takeTokens();
          events.push(tokens === undefined ? { id, event } : { id, event, tokens });
        }
      } else if (token !== undefined) {
        events.push({ id, event: token });
      }
    }
    this.#options.onStep();
    return events;
  }

  /** The token, or the event that ends the generation; undefined within a prompt. */
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
    const options = generation.request.logprobs;
    try {
      const logprob =
        options && logitIndex !== undefined
          ? await this.#options.logprobs.read(logitIndex, token, options.top)
          : undefined;
      return generation.accept(token, logprob);
    } catch (thrown) {
      return [this.#fail(generation, thrown)];
    }
  }

  /** What the sequence holds after a failure is unknown, so it is cleared. */
  #fail(generation: Generation, thrown: unknown): FailedEvent {
    generation.abandon();
    generation.sequence.clear();
    const param = generation.request.grammarField ?? 'tools';
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
