/**
 * Keeps one engine process running: starts it, starts it again when it died or hung, and knows at any time how it is.
 * Owns the process and its watchdog. Invariant: generations that an engine had when it died fail; those that were not
 * handed to it yet wait for the next one, as long as that is worth waiting for.
 */

import type { Ability } from '../../core/backend.ts';
import { abortable, type Settle } from '../../core/cancellation.ts';
import type { Clock, Milliseconds, Timer } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import {
  type EmbeddingSink,
  type EngineGenerationSink,
  type EngineSink,
  type GenerationHandle,
  PendingRequests,
  type RequestHandle,
  type TokenizerSink,
} from './engine-client.ts';
import {
  closedError,
  downError,
  gpuFailureFields,
  HEALTHY_AFTER_MS,
  lostError,
  MAX_CRASHES_WAITED_FOR,
  restartDelayMs,
  startFailedError,
} from './engine-errors.ts';
import { type EngineEnd, EngineProcess } from './engine-process.ts';
import { GpuFallback } from './gpu-fallback.ts';
import type { ToolCallFormat } from './grammar/answer-grammar.ts';
import type {
  EngineEmbeddingRequest,
  EngineGenerationRequest,
  EngineSettings,
  FromEngine,
  ToEngine,
  TokenizerRequest,
} from './messages.ts';
import { Watchdog } from './watchdog.ts';

export interface SupervisorOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly enginePath: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** An engine that has work and finishes no step for so long, or does not answer, is killed and replaced. */
  readonly stepTimeoutMs: Milliseconds;
  /** The same for one that loads and makes no progress. */
  readonly loadTimeoutMs: Milliseconds;
}

export type EngineState =
  | { readonly phase: 'idle' }
  | { readonly phase: 'loading' }
  | { readonly phase: 'ready'; readonly contextSize: number; readonly abilities: readonly Ability[] }
  /** It died and is started again, now or after a wait; `waitWorthwhile`: soon enough for requests to wait. */
  | { readonly phase: 'restarting'; readonly waitWorthwhile: boolean; readonly detail: string }
  /** It will not be started again by itself. */
  | { readonly phase: 'failed'; readonly error: ServingError }
  | { readonly phase: 'closed' };

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #flights = new PendingRequests();
  readonly #waitingForReady = new Set<Settle<void>>();
  readonly #fallback = new GpuFallback();
  /** Why the engine that runs now says that its GPU failed. */
  #gpuFailure: string | undefined;
  #state: EngineState = { phase: 'idle' };
  #settings: EngineSettings | undefined;
  #process: EngineProcess | undefined;
  readonly #watchdog: Watchdog;
  #restart: Timer | undefined;
  #readyAt: Milliseconds | undefined;
  #everReady = false;
  #callForm: ToolCallFormat | undefined;
  /** Deaths in a row, without a healthy while between them. */
  #crashes = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#watchdog = new Watchdog({
      clock: options.clock,
      ping: () => this.#send({ type: 'ping' }),
      onHung: (how) => this.#hung(how),
    });
  }

  get state(): EngineState {
    return this.#state;
  }

  /** Starts the engine, where it is not up or coming already; settles when the model is loaded. */
  async start(settings: EngineSettings, signal: AbortSignal): Promise<void> {
    const { phase } = this.#state;
    if (phase === 'idle' || phase === 'failed') {
      this.#settings = settings;
      this.#crashes = 0;
      this.#state = { phase: 'loading' };
      this.#launch();
    }
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    if (this.#state.phase !== 'ready') await this.#whenReady(signal);
  }

  /** In which the model writes calls of tools, once it has been loaded; undefined: it generates no text. */
  async callForm(signal: AbortSignal): Promise<ToolCallFormat | undefined> {
    if (this.#everReady) return this.#callForm;
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    try {
      await this.#whenReady(signal);
    } catch (thrown) {
      // Why a model cannot be loaded is the operator's business, not the clients'.
      throw signal.aborted ? thrown : (this.#refusal() ?? thrown);
    }
    return this.#callForm;
  }

  /** Hands a generation to the engine, now or when it is ready. */
  generate(generation: Omit<EngineGenerationRequest, 'id'>, sink: EngineGenerationSink): GenerationHandle {
    return this.#hand(sink, () => this.#flights.addGeneration(generation, sink));
  }

  /** The same for an embedding. */
  embed(embedding: Omit<EngineEmbeddingRequest, 'id'>, sink: EmbeddingSink): RequestHandle {
    return this.#hand(sink, () => this.#flights.addEmbedding(embedding, sink));
  }

  /** The same for a question about the model's vocabulary. */
  tokenize(question: TokenizerRequest, sink: TokenizerSink): RequestHandle {
    return this.#hand(
      sink,
      () => this.#flights.addTokenizerRequest(question, sink),
      this.#flights.queueError(question),
    );
  }

  /** The sink is told nothing before it has returned. */
  #hand(sink: EngineSink, add: () => number, full?: ServingError): GenerationHandle {
    const refusal = this.#refusal() ?? full;
    if (refusal !== undefined) {
      queueMicrotask(() => sink.failed(refusal));
      return { abort() {}, pause() {}, resume() {} };
    }
    const id = add();
    if (this.#state.phase === 'ready') this.#flights.sendAdded(id, this.#send);
    return {
      abort: () => this.#flights.abort(id, this.#send),
      pause: () => this.#flights.pause(id, this.#send),
      resume: () => this.#flights.resume(id, this.#send),
    };
  }

  /** Settles when the model has been loaded, or cannot be. */
  #whenReady(signal: AbortSignal): Promise<void> {
    return abortable(signal, (settle) => {
      this.#waitingForReady.add(settle);
      return () => this.#waitingForReady.delete(settle);
    });
  }

  #settleWaiting(how: (settle: Settle<void>) => void): void {
    const waiting = [...this.#waitingForReady];
    this.#waitingForReady.clear();
    for (const settle of waiting) how(settle);
  }

  /** Ends the engine; generations under way fail. */
  async close(): Promise<void> {
    this.#restart?.cancel();
    this.#watchdog.stop();
    this.#state = { phase: 'closed' };
    this.#failEverybody(closedError());
    await this.#process?.end();
  }

  readonly #send = (message: ToEngine): void => this.#process?.send(message);

  #refusal(): ServingError | undefined {
    const state = this.#state;
    if (state.phase === 'closed') return closedError();
    if (state.phase === 'failed') return downError();
    if (state.phase === 'idle') return new ServingError('model_loading', { retryAfterSeconds: 1 });
    if (state.phase === 'restarting' && !state.waitWorthwhile) return downError();
    return undefined;
  }

  #launch(): void {
    const { enginePath, environment, clock, log, loadTimeoutMs } = this.#options;
    const engine: EngineProcess = new EngineProcess({
      enginePath,
      environment,
      clock,
      log,
      onMessage: (message) => this.#receive(engine, message),
      onExit: (end) => this.#exited(engine, end),
    });
    this.#process = engine;
    this.#fallback.launched();
    this.#gpuFailure = undefined;
    const idleness = 'its load made no progress';
    this.#watchdog.watch({ limitMs: loadTimeoutMs, hasWork: () => true, idleness });
  }

  #receive(engine: EngineProcess, message: FromEngine): void {
    if (this.#process !== engine || this.#state.phase === 'closed') return;
    switch (message.type) {
      case 'hello':
        this.#sendLoad(engine);
        break;
      case 'device':
        this.#fallback.deviceOpened(message.device);
        break;
      case 'loaded':
        this.#loaded(engine, message);
        break;
      case 'load_failed':
        this.#loadFailed(engine, message);
        break;
      case 'events':
        for (const event of message.events) this.#flights.deliver(event);
        if (this.#state.phase === 'ready') this.#flights.sendTokenizerRequest(this.#send);
        break;
      case 'alive':
        this.#watchdog.alive(message.progress);
        break;
      case 'log':
        this.#options.log[message.level]('engine', { line: message.message });
        break;
      default:
        message satisfies never;
    }
  }

  #sendLoad(engine: EngineProcess): void {
    if (this.#settings === undefined) return;
    engine.send({ type: 'load', settings: this.#settings, excludedGpus: this.#fallback.excluded });
  }

  #loaded(engine: EngineProcess, message: Extract<FromEngine, { type: 'loaded' }>): void {
    const { contextSize, abilities, callForm } = message;
    this.#state = { phase: 'ready', contextSize, abilities };
    this.#callForm = callForm;
    this.#everReady = true;
    this.#fallback.ready();
    const { clock, log, stepTimeoutMs } = this.#options;
    this.#readyAt = clock.now();
    const idleness = 'it finished no step';
    this.#watchdog.watch({ limitMs: stepTimeoutMs, hasWork: () => this.#flights.hasWork, idleness });
    log.info('engine ready', { pid: engine.pid, contextSize });
    this.#flights.sendNew(this.#send);
    this.#settleWaiting(({ resolve }) => resolve());
  }

  #loadFailed(
    engine: EngineProcess,
    { message, gpuFailed }: Extract<FromEngine, { type: 'load_failed' }>,
  ): void {
    this.#watchdog.stop();
    if (gpuFailed && this.#mayLeaveGpu) {
      this.#gpuFailure = message;
    } else if (this.#everReady) {
      // The same file was loaded before: what is missing now, such as memory, may be there again later.
      this.#options.log.error('engine could not load the model', { message });
    } else {
      this.#giveUp(new ServingError('backend_error', { message }));
    }
    void engine.end();
  }

  /** The end of the process follows; where even SIGKILL cannot end it, nobody waits for that in vain. */
  #hung(how: string): void {
    this.#options.log.error('engine hangs', { pid: this.#process?.pid, how });
    this.#process?.kill(`${how} and was killed`);
    this.#state = { phase: 'restarting', waitWorthwhile: true, detail: `The engine process hung (${how}).` };
    this.#flights.failSent(lostError('hung'));
  }

  #exited(engine: EngineProcess, { how, lastWords }: EngineEnd): void {
    if (this.#process !== engine) return;
    this.#process = undefined;
    this.#watchdog.stop();
    if (this.#state.phase === 'closed' || this.#state.phase === 'failed') return;
    const { clock, log } = this.#options;
    if (this.#readyAt === undefined && this.#leavesGpu({ how, lastWords })) return;
    const wasHealthy = this.#readyAt !== undefined && clock.now() - this.#readyAt >= HEALTHY_AFTER_MS;
    this.#readyAt = undefined;
    this.#crashes = wasHealthy ? 1 : this.#crashes + 1;
    if (!this.#everReady && this.#crashes >= MAX_CRASHES_WAITED_FOR) {
      this.#giveUp(startFailedError(this.#settings, this.#fallback.opened, { how, lastWords }));
      return;
    }
    const delayMs = restartDelayMs(this.#crashes);
    log.error('engine died', { how, lastWords, crashesInARow: this.#crashes, restartInMs: delayMs });
    const waitWorthwhile = this.#crashes <= MAX_CRASHES_WAITED_FOR;
    this.#state = { phase: 'restarting', waitWorthwhile, detail: `The engine process died (${how}).` };
    this.#restart = clock.schedule(delayMs, () => this.#launch());
    // Sinks may begin other generations at once, which are the next engine's.
    this.#flights.failSent(lostError('stopped'));
    if (!waitWorthwhile) this.#failEverybody(downError());
  }

  /** A number of layers says that there is a GPU: only `auto` goes on without it. */
  get #mayLeaveGpu(): boolean {
    return this.#settings?.gpu === 'auto';
  }

  /** Starts the engine on the next device, if the last one is to blame for its end. */
  #leavesGpu({ how, lastWords }: EngineEnd): boolean {
    const gpu = this.#mayLeaveGpu ? this.#fallback.endedEarly() : undefined;
    if (gpu === undefined) return false;
    const died = lastWords === undefined ? how : `${how}; it last wrote “${lastWords}”`;
    const reason = this.#gpuFailure ?? died;
    this.#options.log.warn(
      'GPU failed before the first token, trying the next device',
      gpuFailureFields(gpu, reason),
    );
    this.#crashes = 0;
    if (this.#everReady) {
      const detail = 'The engine process is started again on another device.';
      this.#state = { phase: 'restarting', waitWorthwhile: true, detail };
    } else {
      this.#state = { phase: 'loading' };
    }
    this.#launch();
    return true;
  }

  #giveUp(error: ServingError): void {
    this.#state = { phase: 'failed', error };
    this.#settleWaiting(({ reject }) => reject(error));
    // What is wrong with the file is the operator's business, not the clients'.
    this.#flights.failAll(downError());
  }

  #failEverybody(error: ServingError): void {
    this.#settleWaiting(({ reject }) => reject(error));
    this.#flights.failAll(error);
  }
}
