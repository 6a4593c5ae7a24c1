/**
 * Keeps one engine process running: starts it, restarts it when it dies or hangs, and knows its state at any time. Owns
 * the process, its watchdog, and the way of this process's own requests to it.
 */
import type { Clock, Milliseconds, Timer } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { restartDelayMs } from '../../core/restart-delay.ts';
import { EngineAccess } from './engine-access.ts';
import { type EngineEnd, EngineProcess } from './engine-process.ts';
import type { EngineLoss, EngineState } from './engine-state.ts';
import { GpuFallback, gpuFailureFields, startFailedError } from './gpu-fallback.ts';
import type { EngineSettings, FromEngine } from './messages.ts';
import { Watchdog } from './watchdog.ts';

/** An engine that ran this long was healthy: its death counts as a first one. */
const HEALTHY_AFTER_MS: Milliseconds = 60_000;
/** Up to so many crashes in a row, requests wait for the restart; after more they are rejected at once. */
const MAX_CRASHES_WAITED_FOR = 3;

export interface SupervisorOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly enginePath: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** An engine that has work but finishes no step for so long, or does not answer, is killed and replaced. */
  readonly stepTimeoutMs: Milliseconds;
  /** The same for an engine that makes no progress while it loads. */
  readonly loadTimeoutMs: Milliseconds;
  /** Where other processes reach an engine, each at an address of its own. Absent: none do. */
  readonly guestAddresses?: GuestAddresses | undefined;
  /** `address`: where other processes reach it while it is ready; `loss`: what the last engine had is lost. */
  readonly onState?: (state: EngineState, more: { address?: string | undefined; loss?: EngineLoss }) => void;
}

export interface GuestAddresses {
  newAddress(): string;
  /** Nothing listens there any more. */
  removeAddress(address: string): void;
}

export class Supervisor {
  readonly access = new EngineAccess((message) => this.#process?.send(message));
  readonly #options: SupervisorOptions;
  readonly #fallback = new GpuFallback();
  readonly #watchdog: Watchdog;
  #settings: EngineSettings | undefined;
  #process: EngineProcess | undefined;
  #guestAddress: string | undefined;
  /** As the engine that runs now reported it. */
  #worksForGuests = false;
  #kvCacheUsed: number | undefined;
  #gpuFailure: string | undefined;
  #restart: Timer | undefined;
  #readyAt: Milliseconds | undefined;
  #everReady = false;
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
    return this.access.state;
  }

  /** Part of the KV cache that requests hold, as the engine told with its last answer to a ping. */
  get kvCacheUsed(): number | undefined {
    return this.#kvCacheUsed;
  }

  /** Starts the engine unless it runs or is being started; settles when the model is loaded. */
  async start(settings: EngineSettings, signal: AbortSignal): Promise<void> {
    const { phase } = this.state;
    if (phase === 'idle' || phase === 'failed') {
      this.#settings = settings;
      this.#crashes = 0;
      this.#enter({ phase: 'loading' });
      this.#launch();
    }
    await this.access.whenReady(signal);
  }

  /** Ends the engine; requests under way fail. */
  async close(): Promise<void> {
    this.#restart?.cancel();
    this.#watchdog.stop();
    this.#enter({ phase: 'closed' });
    await this.#process?.end();
  }

  #enter(state: EngineState, loss?: EngineLoss): void {
    const address = state.phase === 'ready' ? this.#guestAddress : undefined;
    this.#options.onState?.(state, { address, ...(loss && { loss }) });
    this.access.enter(state, loss);
  }

  #launch(): void {
    const { enginePath, environment, clock, log, loadTimeoutMs, guestAddresses } = this.#options;
    this.#guestAddress = guestAddresses?.newAddress();
    this.#worksForGuests = false;
    this.#kvCacheUsed = undefined;
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
    if (this.#process !== engine || this.state.phase === 'closed') return;
    switch (message.type) {
      case 'events':
        this.access.deliver(message.events);
        break;
      case 'alive':
        this.#worksForGuests = message.worksForGuests;
        this.#kvCacheUsed = message.kvCacheUsed;
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
    engine.send({
      type: 'load',
      settings: this.#settings,
      excludedGpus: this.#fallback.excluded,
      ...(this.#guestAddress !== undefined && { guestAddress: this.#guestAddress }),
    });
  }

  #loaded(engine: EngineProcess, message: Extract<FromEngine, { type: 'loaded' }>): void {
    const { contextSize, abilities, toolCallFormat } = message;
    this.#everReady = true;
    this.#fallback.ready();
    const { clock, log, stepTimeoutMs } = this.#options;
    this.#readyAt = clock.now();
    this.#watchdog.watch({
      limitMs: stepTimeoutMs,
      hasWork: () => this.access.hasWork || this.#worksForGuests,
      symptom: 'it finished no step',
    });
    log.info('engine ready', { pid: engine.pid, contextSize });
    this.#enter({ phase: 'ready', contextSize, abilities, toolCallFormat });
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
      const error = new ServingError('backend_error', { message, failure: 'engine_lost' });
      this.#enter({ phase: 'failed', error });
    }
    void engine.end();
  }

  /** The process's exit follows. Where even SIGKILL cannot end it, no request waits for that. */
  #hung(how: string): void {
    this.#options.log.error('engine hangs', { pid: this.#process?.pid, how });
    this.#process?.kill(`${how} and was killed`);
    const detail = `The engine process hung (${how}).`;
    this.#enter({ phase: 'restarting', waitWorthwhile: true, detail }, 'hung');
  }

  #exited(engine: EngineProcess, end: EngineEnd): void {
    if (this.#process !== engine) return;
    this.#process = undefined;
    if (this.#guestAddress !== undefined) this.#options.guestAddresses?.removeAddress(this.#guestAddress);
    this.#watchdog.stop();
    if (this.state.phase === 'closed' || this.state.phase === 'failed') return;
    if (this.#readyAt === undefined && this.#leavesGpu(end)) return;
    const { clock, log } = this.#options;
    const wasHealthy = this.#readyAt !== undefined && clock.now() - this.#readyAt >= HEALTHY_AFTER_MS;
    this.#readyAt = undefined;
    this.#crashes = wasHealthy ? 1 : this.#crashes + 1;
    if (!this.#everReady && this.#crashes >= MAX_CRASHES_WAITED_FOR) {
      const { modelPath = 'the model', gpu } = this.#settings ?? {};
      const { opened: device } = this.#fallback;
      const error = startFailedError({ modelPath, gpu, crashes: this.#crashes, device, end });
      this.#enter({ phase: 'failed', error });
      return;
    }
    const { how, lastWords } = end;
    const delayMs = restartDelayMs(this.#crashes);
    log.error('engine died', { how, lastWords, crashesInARow: this.#crashes, restartInMs: delayMs });
    const waitWorthwhile = this.#crashes <= MAX_CRASHES_WAITED_FOR;
    this.#restart = clock.schedule(delayMs, () => this.#launch());
    const detail = `The engine process died (${how}).`;
    this.#enter({ phase: 'restarting', waitWorthwhile, detail }, 'stopped');
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
      this.#enter({ phase: 'restarting', waitWorthwhile: true, detail });
    } else {
      this.#enter({ phase: 'loading' });
    }
    this.#launch();
    return true;
  }
}
