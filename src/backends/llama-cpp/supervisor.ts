/**
 * Keeps one engine process running: starts it, starts it again when it died, and knows at any time how it is.
 * Owns the process. Invariant: generations that an engine had when it died fail; those that were not handed to it
 * yet wait for the next one, as long as that is worth waiting for.
 */
import type { Clock, Milliseconds, Timer } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { EmbeddingSink } from './embedding-call.ts';
import { EngineProcess } from './engine-process.ts';
import { Flights } from './flights.ts';
import type { GenerationSink, RunningGeneration } from './generation-stream.ts';
import type { EngineEmbedding, EngineGeneration, EngineSettings, FromEngine, ToEngine } from './messages.ts';
import { CRASHES_WORTH_WAITING_FOR, HEALTHY_AFTER_MS, restartDelayMs } from './restart-policy.ts';
import { Waiters } from './waiters.ts';

export interface SupervisorOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly enginePath: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export type EngineState =
  | { readonly phase: 'idle' }
  | { readonly phase: 'loading' }
  | { readonly phase: 'ready'; readonly contextSize: number }
  /** It died and is started again, now or after a wait; `waitWorthwhile`: soon enough for requests to wait. */
  | { readonly phase: 'restarting'; readonly waitWorthwhile: boolean; readonly detail: string }
  /** It will not be started again by itself. */
  | { readonly phase: 'failed'; readonly error: ServingError }
  | { readonly phase: 'closed' };

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #flights = new Flights();
  readonly #waitForReady = new Waiters();
  #state: EngineState = { phase: 'idle' };
  #settings: EngineSettings | undefined;
  #process: EngineProcess | undefined;
  #restart: Timer | undefined;
  #readyAt: Milliseconds | undefined;
  #everReady = false;
  /** Deaths in a row, without a healthy while between them. */
  #crashes = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
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
    if (this.#state.phase !== 'ready') await this.#waitForReady.wait(signal);
  }

  /** Hands a generation to the engine, now or when it is ready. */
  generate(generation: Omit<EngineGeneration, 'id'>, sink: GenerationSink): RunningGeneration {
    return this.#hand(sink, () => this.#flights.add(generation, sink));
  }

  /** The same for an embedding. */
  embed(embedding: Omit<EngineEmbedding, 'id'>, sink: EmbeddingSink): RunningGeneration {
    return this.#hand(sink, () => this.#flights.addEmbedding(embedding, sink));
  }

  #hand(sink: Pick<GenerationSink, 'failed'>, add: () => number): RunningGeneration {
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      sink.failed(refusal);
      return { abort() {} };
    }
    const id = add();
    if (this.#state.phase === 'ready') this.#flights.sendNew(this.#send);
    return { abort: () => this.#flights.abort(id, this.#send) };
  }

  /** Ends the engine; generations under way fail. */
  async close(): Promise<void> {
    this.#restart?.cancel();
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
    const { enginePath, environment, log } = this.#options;
    const engine: EngineProcess = new EngineProcess({
      enginePath,
      environment,
      log,
      onMessage: (message) => this.#receive(engine, message),
      onExit: (how) => this.#exited(engine, how),
    });
    this.#process = engine;
  }

  #receive(engine: EngineProcess, message: FromEngine): void {
    if (this.#process !== engine || this.#state.phase === 'closed') return;
    switch (message.type) {
      case 'hello':
        if (this.#settings) engine.send({ type: 'load', settings: this.#settings });
        break;
      case 'loaded':
        this.#loaded(engine, message.contextSize);
        break;
      case 'load_failed':
        this.#loadFailed(engine, message.message);
        break;
      case 'events':
        for (const event of message.events) this.#flights.deliver(event);
        break;
      case 'log':
        this.#options.log[message.level]('engine', { line: message.message });
        break;
      default:
        message satisfies never;
    }
  }

  #loaded(engine: EngineProcess, contextSize: number): void {
    this.#state = { phase: 'ready', contextSize };
    this.#everReady = true;
    const { clock, log } = this.#options;
    this.#readyAt = clock.now();
    log.info('engine ready', { pid: engine.pid, contextSize });
    this.#flights.sendNew(this.#send);
    this.#waitForReady.resolveAll();
  }

  #loadFailed(engine: EngineProcess, message: string): void {
    if (this.#everReady) {
      // The same file was loaded before: what is missing now, such as memory, may be there again later.
      this.#options.log.error('engine could not load the model', { message });
    } else {
      this.#giveUp(new ServingError('backend_error', { message }));
    }
    void engine.end();
  }

  #exited(engine: EngineProcess, how: string): void {
    if (this.#process !== engine) return;
    this.#process = undefined;
    if (this.#state.phase === 'closed' || this.#state.phase === 'failed') return;
    const { clock, log } = this.#options;
    this.#flights.failSent(lostError());
    const wasHealthy = this.#readyAt !== undefined && clock.now() - this.#readyAt >= HEALTHY_AFTER_MS;
    this.#readyAt = undefined;
    this.#crashes = wasHealthy ? 1 : this.#crashes + 1;
    if (!this.#everReady && this.#crashes >= CRASHES_WORTH_WAITING_FOR) {
      this.#giveUp(neverCameUpError(this.#settings?.modelPath, how));
      return;
    }
    const waitWorthwhile = this.#crashes <= CRASHES_WORTH_WAITING_FOR;
    const delayMs = restartDelayMs(this.#crashes);
    this.#state = { phase: 'restarting', waitWorthwhile, detail: `The engine process died (${how}).` };
    log.error('engine died', { how, crashesInARow: this.#crashes, restartInMs: delayMs });
    if (!waitWorthwhile) this.#failEverybody(downError());
    this.#restart = clock.schedule(delayMs, () => this.#launch());
  }

  #giveUp(error: ServingError): void {
    this.#state = { phase: 'failed', error };
    this.#waitForReady.rejectAll(error);
    // What is wrong with the file is the operator's business, not the clients'.
    this.#flights.failAll(downError());
  }

  #failEverybody(error: ServingError): void {
    this.#waitForReady.rejectAll(error);
    this.#flights.failAll(error);
  }
}

function lostError(): ServingError {
  return new ServingError('backend_error', {
    message:
      'The engine stopped while it worked on this request. It is being restarted: send the request again.',
  });
}

function downError(): ServingError {
  return new ServingError('backend_error', {
    message:
      'The engine is not running: it could not be started, or keeps failing. Try again later; the server’s log says why.',
  });
}

function closedError(): ServingError {
  return new ServingError('draining', { retryAfterSeconds: 1 });
}

function neverCameUpError(modelPath: string | undefined, how: string): ServingError {
  return new ServingError('backend_error', {
    message:
      `The engine died ${CRASHES_WORTH_WAITING_FOR} times while it loaded ${modelPath ?? 'the model'} (${how}). ` +
      'The file may be damaged or need more memory than there is: delete it to have it fetched anew, ' +
      'lower slots or context_size, or give another file with --model PATH.',
  });
}
