/**
 * Keeps one engine process running: starts it, restarts it when it dies or hangs, and knows its state at any time. Owns
 * the process and its watchdog. Invariant: requests that an engine had when it died fail, so that serving tries them again;
 * those that had not been sent yet wait for the next engine, as long as that is worth waiting for.
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
  PendingRequests,
  type RequestHandle,
  type TokenizerSink,
} from './engine-client.ts';
import { type EngineEnd, EngineProcess } from './engine-process.ts';
import { GpuFallback, gpuFailureFields, startFailedError } from './gpu-fallback.ts';
import type { ToolCallFormat } from './grammar/answer-grammar.ts';
import type {
  EngineEmbeddingRequest,
  EngineGenerationRequest,
  EngineSettings,
  FromEngine,
  TokenizerRequest,
} from './messages.ts';
import { Watchdog } from './watchdog.ts';

const FIRST_RESTART_DELAY_MS: Milliseconds = 1000;
const MAX_RESTART_DELAY_MS: Milliseconds = 30_000;
/** An engine that ran this long was healthy: its death counts as a first one. */
const HEALTHY_AFTER_MS: Milliseconds = 60_000;
/** Up to so many crashes in a row, requests wait for the restart; after more they are rejected at once. */
const MAX_CRASHES_WAITED_FOR = 3;

/** The first restart is at once, then after 1 s, 2 s, 4 s … 30 s. `crashes`: in a row, from 1. */
export function restartDelayMs(crashes: number): Milliseconds {
  if (crashes <= 1) return 0;
  return Math.min(MAX_RESTART_DELAY_MS, FIRST_RESTART_DELAY_MS * 2 ** (crashes - 2));
}

export interface SupervisorOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly enginePath: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** An engine that has work but finishes no step for so long, or does not answer, is killed and replaced. */
  readonly stepTimeoutMs: Milliseconds;
  /** The same for an engine that makes no progress while it loads. */
  readonly loadTimeoutMs: Milliseconds;
}

type EngineState =
  | { readonly phase: 'idle' }
  | { readonly phase: 'loading' }
  | { readonly phase: 'ready'; readonly contextSize: number; readonly abilities: readonly Ability[] }
  /** It died and is restarted, now or after a delay. `waitWorthwhile`: soon enough for requests to wait. */
  | { readonly phase: 'restarting'; readonly waitWorthwhile: boolean; readonly detail: string }
  /** It is not restarted by itself. */
  | { readonly phase: 'failed'; readonly error: ServingError }
  | { readonly phase: 'closed' };

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #requests = new PendingRequests((message) => this.#process?.send(message));
  readonly #waitingForReady = new Set<Settle<void>>();
  readonly #fallback = new GpuFallback();
  readonly #watchdog: Watchdog;
  #state: EngineState = { phase: 'idle' };
  #settings: EngineSettings | undefined;
  #process: EngineProcess | undefined;
  /** As the engine that runs now reported it. */
  #gpuFailure: string | undefined;
  #restart: Timer | undefined;
  #readyAt: Milliseconds | undefined;
  #everReady = false;
  #toolCallFormat: ToolCallFormat | undefined;
  /** In a row, without a healthy time between them. */
  #crashes = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#watchdog = new Watchdog({
      clock: options.clock,
      ping: () => this.#process?.send({ type: 'ping' }),
      onHung: (how) => this.#hung(how),
    });
  }

  get state(): EngineState {
    return this.#state;
  }

  /** Starts the engine unless it runs or is being started; settles when the model is loaded. */
  async start(settings: EngineSettings, signal: AbortSignal): Promise<void> {
    const { phase } = this.#state;
    if (phase === 'idle' || phase === 'failed') {
      this.#settings = settings;
      this.#crashes = 0;
      this.#state = { phase: 'loading' };
      this.#launch();
    }
    const rejection = this.#rejection();
    if (rejection !== undefined) throw rejection;
    if (this.#state.phase !== 'ready') await this.#whenReady(signal);
  }

  /** How the model writes tool calls; known once it has been loaded. Undefined: it generates no text. */
  async toolCallFormat(signal: AbortSignal): Promise<ToolCallFormat | undefined> {
    if (this.#everReady) return this.#toolCallFormat;
    const rejection = this.#rejection();
    if (rejection !== undefined) throw rejection;
    try {
      await this.#whenReady(signal);
    } catch (thrown) {
      // Why a model cannot be loaded is for the operator, not for clients.
      throw signal.aborted ? thrown : (this.#rejection() ?? thrown);
    }
    return this.#toolCallFormat;
  }

  /** The request is sent to the engine now, or when it is ready. The sink is not called before this returns. */
  generate(generation: Omit<EngineGenerationRequest, 'id'>, sink: EngineGenerationSink): RequestHandle {
    return this.#submit(sink, () => this.#requests.addGeneration(generation, sink));
  }

  embed(embedding: Omit<EngineEmbeddingRequest, 'id'>, sink: EmbeddingSink): RequestHandle {
    return this.#submit(sink, () => this.#requests.addEmbedding(embedding, sink));
  }

  tokenize(request: TokenizerRequest, sink: TokenizerSink): RequestHandle {
    const queueError = this.#requests.tokenizeQueueError(request);
    return this.#submit(sink, () => this.#requests.addTokenizerRequest(request, sink), queueError);
  }

  /** Ends the engine; requests under way fail. */
  async close(): Promise<void> {
    this.#restart?.cancel();
    this.#watchdog.stop();
    this.#state = { phase: 'closed' };
    this.#failAll(closedError());
    await this.#process?.end();
  }

  #submit(sink: EngineSink, add: () => number, queueError?: ServingError): RequestHandle {
    const rejection = this.#rejection() ?? queueError;
    if (rejection !== undefined) {
      queueMicrotask(() => sink.failed(rejection));
      return { abort() {}, pause() {}, resume() {} };
    }
    const id = add();
    if (this.#state.phase === 'ready') this.#requests.send(id);
    return {
      abort: () => this.#requests.abort(id),
      pause: () => this.#requests.pause(id),
      resume: () => this.#requests.resume(id),
    };
  }

  /** Why no request is accepted now. */
  #rejection(): ServingError | undefined {
    const state = this.#state;
    if (state.phase === 'closed') return closedError();
    if (state.phase === 'failed') return downError();
    if (state.phase === 'idle') return loadingError();
    if (state.phase === 'restarting' && !state.waitWorthwhile) return downError();
    return undefined;
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
    this.#watchdog.watch({
      limitMs: loadTimeoutMs,
      hasWork: () => true,
      symptom: 'its load made no progress',
    });
  }

  #receive(engine: EngineProcess, message: FromEngine): void {
    if (this.#process !== engine || this.#state.phase === 'closed') return;
    switch (message.type) {
      case 'events':
        for (const event of message.events) this.#requests.deliver(event);
        if (this.#state.phase === 'ready') this.#requests.sendTokenizerRequest();
        break;
      case 'alive':
        this.#watchdog.alive(message.progress);
        break;
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
    const { contextSize, abilities, toolCallFormat } = message;
    this.#state = { phase: 'ready', contextSize, abilities };
    this.#toolCallFormat = toolCallFormat;
    this.#everReady = true;
    this.#fallback.ready();
    const { clock, log, stepTimeoutMs } = this.#options;
    this.#readyAt = clock.now();
    this.#watchdog.watch({
      limitMs: stepTimeoutMs,
      hasWork: () => this.#requests.hasWork,
      symptom: 'it finished no step',
    });
    log.info('engine ready', { pid: engine.pid, contextSize });
    this.#requests.sendAll();
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
      // The same file was loaded before: what is missing now, such as memory, may be available again later.
      this.#options.log.error('engine could not load the model', { message });
    } else {
      this.#giveUp(new ServingError('backend_error', { message, failure: 'engine_lost' }));
    }
    void engine.end();
  }

  /** The process's exit follows. Where even SIGKILL cannot end it, no request waits for that. */
  #hung(how: string): void {
    this.#options.log.error('engine hangs', { pid: this.#process?.pid, how });
    this.#process?.kill(`${how} and was killed`);
    this.#state = { phase: 'restarting', waitWorthwhile: true, detail: `The engine process hung (${how}).` };
    this.#requests.failSent(lostError('hung'));
  }

  #exited(engine: EngineProcess, end: EngineEnd): void {
    if (this.#process !== engine) return;
    this.#process = undefined;
    this.#watchdog.stop();
    if (this.#state.phase === 'closed' || this.#state.phase === 'failed') return;
    if (this.#readyAt === undefined && this.#leavesGpu(end)) return;
    const { clock, log } = this.#options;
    const wasHealthy = this.#readyAt !== undefined && clock.now() - this.#readyAt >= HEALTHY_AFTER_MS;
    this.#readyAt = undefined;
    this.#crashes = wasHealthy ? 1 : this.#crashes + 1;
    if (!this.#everReady && this.#crashes >= MAX_CRASHES_WAITED_FOR) {
      const { modelPath = 'the model', gpu } = this.#settings ?? {};
      this.#giveUp(
        startFailedError({ modelPath, gpu, crashes: this.#crashes, device: this.#fallback.opened, end }),
      );
      return;
    }
    const { how, lastWords } = end;
    const delayMs = restartDelayMs(this.#crashes);
    log.error('engine died', { how, lastWords, crashesInARow: this.#crashes, restartInMs: delayMs });
    const waitWorthwhile = this.#crashes <= MAX_CRASHES_WAITED_FOR;
    this.#state = { phase: 'restarting', waitWorthwhile, detail: `The engine process died (${how}).` };
    this.#restart = clock.schedule(delayMs, () => this.#launch());
    // Sinks may add requests at once: those are for the next engine.
    this.#requests.failSent(lostError('stopped'));
    if (!waitWorthwhile) this.#failAll(downError());
  }

  /** A configured number of layers means that there is a GPU: only `auto` goes on without it. */
  get #mayLeaveGpu(): boolean {
    return this.#settings?.gpu === 'auto';
  }

  /** Starts the engine on the next device, if the last one is to blame for its end. */
  #leavesGpu({ how, lastWords }: EngineEnd): boolean {
    const gpu = this.#mayLeaveGpu ? this.#fallback.endedEarly() : undefined;
    if (gpu === undefined) return false;
    const died = lastWords === undefined ? how : `${how}; it last wrote “${lastWords}”`;
    const fields = gpuFailureFields(gpu, this.#gpuFailure ?? died);
    this.#options.log.warn('GPU failed before the first token, trying the next device', fields);
    this.#crashes = 0;
    if (this.#everReady) {
      const detail = 'The engine process is restarting on another device.';
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
    // What is wrong with the file is for the operator, not for clients.
    this.#requests.failAll(downError());
  }

  #failAll(error: ServingError): void {
    this.#settleWaiting(({ reject }) => reject(error));
    this.#requests.failAll(error);
  }
}

/** For a request that the engine had when it ended. */
function lostError(how: 'stopped' | 'hung'): ServingError {
  return new ServingError('backend_error', {
    message: `The engine ${how} while it worked on this request. It is being restarted: send the request again.`,
    failure: 'engine_lost',
  });
}

function downError(): ServingError {
  return new ServingError('backend_error', {
    message:
      'The engine is not running: it could not be started, or keeps failing. Try again later; the server’s log says why.',
    failure: 'engine_lost',
  });
}

function loadingError(): ServingError {
  return new ServingError('model_loading', { retryAfterSeconds: 1 });
}

export function closedError(): ServingError {
  return new ServingError('draining', { retryAfterSeconds: 1, failure: 'engine_lost' });
}
