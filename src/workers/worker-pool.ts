/**
 * Keeps the workers running: starts them, replaces those that die or hang, tells all of them what concerns all, and ends them. Owns which
 * worker is where. Invariant: of each worker that was attached, the end is told exactly once.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { restartDelayMs } from '../core/restart-delay.ts';
import type { AcceptedSocket, ConnectionDoor, DoorPlace } from './connection-door.ts';
import type { ConfigurationText, LifeToControl, StartMessage } from './life-messages.ts';
import type { ToControl, ToWorker } from './messages.ts';
import { unanswered } from './questions.ts';
import type { RunningWorker, WorkerEvents } from './worker-process.ts';

/** A worker that served this long was healthy: its death counts as a first one. */
const HEALTHY_AFTER_MS: Milliseconds = 60_000;
const PING_EVERY_MS: Milliseconds = 5000;
/** A worker that answers to none of so many in a row is killed and replaced: its loop is blocked, or its process stopped. */
const HUNG_AFTER_PINGS = 6;
/** So many it may leave behind before it serves: a slow disk or database is waited for, and not for ever. */
const STARTS_WITHIN_PINGS = 60;
/** The others are not waited for longer by one that serves, at the start. */
const ALL_SERVE_WITHIN_MS: Milliseconds = 10_000;
/** So much may lie here for a worker that does not read; what tells it only how things are now is left out before. */
const MAX_UNSENT_BYTES = 64 * 1024 * 1024;
const MAX_UNSENT_NEWS_BYTES = 1024 * 1024;
/** With so much, a worker that asks is told that there is no answer now: it does not end by what it asks for. */
const MAX_UNSENT_ANSWER_BYTES = 8 * 1024 * 1024;
/** Out of date by the time at which a worker that lags behind would read them; others follow. */
const NEWS: ReadonlySet<ToWorker['type']> = new Set(['position', 'live-snapshot', 'live-heartbeat']);
/** After the grace period, for the ends of connections and the last rows of usage. */
const END_WITHIN_MS: Milliseconds = 15_000;

/** What is not of the worker's life. */
export type SubjectToControl = Exclude<ToControl, LifeToControl>;

export interface AttachedWorker {
  receive(message: SubjectToControl): void;
  /** It is gone with everything that it had under way. */
  ended(): void;
}

export interface WorkerPeer {
  /** Unique among all that were ever started: `2.1` is the first one at the second place. */
  readonly name: string;
  send(message: ToWorker): void;
}

interface WorkerPoolOptions<Accepted extends AcceptedSocket> {
  readonly clock: Clock;
  readonly log: Log;
  readonly count: number;
  readonly door: ConnectionDoor<Accepted>;
  readonly start: (events: WorkerEvents, number: number) => RunningWorker<Accepted>;
  /** What each is told first, beside its number and name, and what was reloaded. */
  readonly startMessage: Omit<
    StartMessage,
    'type' | 'number' | 'name' | 'isReplacement' | 'workers' | 'reloaded'
  >;
  /** Called when the worker was told to start; what it sends the worker comes after that. */
  readonly attach: (peer: WorkerPeer) => AttachedWorker;
  /** No worker can start, as each has said. */
  readonly onFatal: (message: string) => void;
}

interface Place<Accepted> {
  /** From 1. */
  readonly number: number;
  started: number;
  current: Worker<Accepted> | undefined;
  restart: Timer | undefined;
  /** In a row, without a healthy time between them. */
  crashes: number;
  /** Said by the last one that could not start; until one serves. */
  failure: string | undefined;
  /** It has said that no other one can start either. */
  needsRestart: boolean;
}

interface Worker<Accepted> {
  readonly process: RunningWorker<Accepted>;
  readonly attached: AttachedWorker;
  doorPlace: DoorPlace | undefined;
  servesSince: Milliseconds | undefined;
  isIdle: boolean;
  /** How many connections it was handed when it was pinged; undefined: it has answered. */
  pingedAfter: number | undefined;
  unanswered: number;
  /** Sent, answered or not. */
  pings: number;
}

export class WorkerPool<Accepted extends AcceptedSocket> {
  readonly #options: WorkerPoolOptions<Accepted>;
  readonly #places: readonly Place<Accepted>[];
  #phase: 'starting' | 'serving' | 'ending' = 'starting';
  #restarts = 0;
  #reloaded: Pick<StartMessage, 'reloaded'> = {};
  #pings: Timer | undefined;
  #patience: Timer | undefined;
  #onStarted = () => {};
  #onIdleChange = () => {};
  #onGone = () => {};

  constructor(options: WorkerPoolOptions<Accepted>) {
    this.#options = options;
    this.#places = Array.from({ length: options.count }, (_, index) => ({
      number: index + 1,
      started: 0,
      current: undefined,
      restart: undefined,
      crashes: 0,
      failure: undefined,
      needsRestart: false,
    }));
  }

  /** How many workers there should be. */
  get count(): number {
    return this.#options.count;
  }

  /** How many workers were replaced because they had died. */
  get restarts(): number {
    return this.#restarts;
  }

  /** How many serve now. */
  get serving(): number {
    return this.#workers().filter(({ servesSince }) => servesSince !== undefined).length;
  }

  /** Resolves when all serve, or when one does and the others have died at least once or take too long. */
  start(): Promise<void> {
    for (const place of this.#places) this.#launch(place);
    this.#pingLater();
    return new Promise((resolve) => {
      this.#onStarted = resolve;
    });
  }

  /** A worker that cannot do it is replaced by one that starts with it. */
  reload(trigger: string, file: ConfigurationText): void {
    this.#reloaded = { reloaded: file };
    for (const { process } of this.#workers()) process.send({ type: 'reload', trigger, file });
  }

  /** Resolves when none has requests any more, at the latest after both times. */
  async drain({ delayMs, graceMs }: { readonly delayMs: number; readonly graceMs: number }): Promise<void> {
    this.#end();
    for (const { process } of this.#workers()) process.send({ type: 'drain', delayMs, graceMs });
    await this.#until((done) => {
      this.#onIdleChange = () => {
        if (this.#workers().every(({ isIdle }) => isIdle)) done();
      };
      this.#onIdleChange();
    }, delayMs + graceMs);
    for (const { process } of this.#workers()) process.send({ type: 'all-idle' });
  }

  /** Resolves when all have ended, as those that are drained do. `now`: with everything that they have under way. */
  async close({ now }: { readonly now: boolean }): Promise<void> {
    this.#end();
    for (const { process } of this.#workers()) if (now) process.send({ type: 'close' });
    await this.#until((done) => {
      this.#onGone = () => {
        if (this.#workers().length === 0) done();
      };
      this.#onGone();
    }, END_WITHIN_MS);
    for (const { process } of this.#workers()) process.kill('it did not end in time');
  }

  #workers(): Worker<Accepted>[] {
    return this.#places.flatMap(({ current }) => current ?? []);
  }

  #end(): void {
    this.#phase = 'ending';
    this.#pings?.cancel();
    this.#patience?.cancel();
    for (const { restart } of this.#places) restart?.cancel();
  }

  /** Waits until `watch` calls what it is given, at most so long. */
  async #until(watch: (done: () => void) => void, limitMs: Milliseconds): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#options.clock.schedule(limitMs, resolve);
      watch(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  #launch(place: Place<Accepted>): void {
    const { count, start, startMessage, attach } = this.#options;
    place.restart = undefined;
    place.started += 1;
    const name = `${place.number}.${place.started}`;
    let failure: string | undefined;
    const process = start(
      {
        onMessage: (message) => {
          switch (message.type) {
            case 'serving':
              return this.#serves(place, worker);
            case 'failed':
              failure = message.message;
              place.needsRestart = message.needsRestart === true;
              return;
            case 'idle':
              worker.isIdle = message.isIdle;
              return this.#onIdleChange();
            case 'alive':
              return answered(worker);
            case 'ping':
              return process.send({ type: 'alive' });
            case 'connection-taken':
              return worker.doorPlace?.taken(message.id);
            case 'connection-closed':
              return worker.doorPlace?.closed(message.id);
            case 'connection-moved':
              return worker.doorPlace?.moved(message.id, message.address);
            default:
              return receiveKnown(worker, message);
          }
        },
        onEnd: (how) => this.#ended(place, worker, { how, failure }),
      },
      place.number,
    );
    const { number, started } = place;
    const own = { number, name, isReplacement: started > 1 };
    process.send({ type: 'start', ...own, workers: count, ...startMessage, ...this.#reloaded });
    const worker: Worker<Accepted> = {
      process,
      attached: attach({ name, send: (message) => sendWithin(process, message) }),
      doorPlace: undefined,
      servesSince: undefined,
      isIdle: false,
      pingedAfter: undefined,
      unanswered: 0,
      pings: 0,
    };
    place.current = worker;
  }

  #serves(place: Place<Accepted>, worker: Worker<Accepted>): void {
    const { clock, door, log } = this.#options;
    worker.servesSince = clock.now();
    place.failure = undefined;
    place.needsRestart = false;
    if (this.#phase === 'ending') return;
    worker.doorPlace = door.join(worker.process);
    if (place.started > 1) log.info(`worker ${place.number} serves again`, { pid: worker.process.pid });
    this.#tellWhoServes();
    this.#patience ??= clock.schedule(ALL_SERVE_WITHIN_MS, () => this.#mayHaveStarted({ isLate: true }));
    this.#mayHaveStarted({ isLate: false });
  }

  #ended(
    place: Place<Accepted>,
    worker: Worker<Accepted>,
    { how, failure }: { readonly how: string; readonly failure: string | undefined },
  ): void {
    const { clock, log, onFatal } = this.#options;
    place.current = undefined;
    worker.attached.ended();
    worker.doorPlace?.gone();
    this.#onIdleChange();
    this.#onGone();
    if (this.#phase === 'ending') return;
    const hasServed = worker.servesSince !== undefined;
    const isHealthy = hasServed && clock.now() - (worker.servesSince ?? 0) >= HEALTHY_AFTER_MS;
    place.crashes = isHealthy ? 1 : place.crashes + 1;
    place.failure = hasServed ? undefined : failure;
    const cannotStart = this.#places.every((each) => each.failure !== undefined);
    if (cannotStart && (this.#phase === 'starting' || this.#places.every((each) => each.needsRestart))) {
      onFatal(this.#places[0]?.failure ?? how);
      return;
    }
    this.#restarts += 1;
    // What a worker has said itself does not go away at once.
    const delayMs = restartDelayMs(place.failure === undefined ? place.crashes : place.crashes + 1);
    log.error(
      `worker ${place.number} has ended: ${(failure ?? how).replace(/\.$/, '')}. Another one is started.`,
      {
        pid: worker.process.pid,
        restartInMs: delayMs,
      },
    );
    if (hasServed) this.#tellWhoServes();
    if (hasServed && this.serving === 0)
      log.error('No worker serves. Connections wait until one does.', { workers: this.#places.length });
    if (delayMs === 0) this.#launch(place);
    else place.restart = clock.schedule(delayMs, () => this.#launch(place));
    this.#mayHaveStarted({ isLate: false });
  }

  #tellWhoServes(): void {
    const { serving } = this;
    for (const { process, servesSince } of this.#workers())
      if (servesSince !== undefined) process.send({ type: 'workers-serving', serving });
  }

  /** `isLate`: those that have neither served nor died are not waited for any longer. */
  #mayHaveStarted({ isLate }: { readonly isLate: boolean }): void {
    const { serving } = this;
    if (this.#phase !== 'starting' || serving === 0) return;
    const isWaitedFor = ({ current, crashes }: Place<Accepted>) =>
      current?.servesSince === undefined && crashes === 0;
    if (!isLate && this.#places.some(isWaitedFor)) return;
    this.#phase = 'serving';
    this.#patience?.cancel();
    if (serving < this.#places.length)
      this.#options.log.warn(
        `${serving} of ${this.#places.length} workers serve. The others follow when they can start.`,
      );
    this.#onStarted();
  }

  /** Counted in pings, not in time: this process may have been stopped too. */
  #pingLater(): void {
    this.#pings = this.#options.clock.schedule(PING_EVERY_MS, () => {
      for (const worker of this.#workers()) {
        if (worker.pingedAfter === undefined) {
          worker.pingedAfter = worker.doorPlace?.handed ?? 0;
          worker.process.ping();
        }
        worker.unanswered += 1;
        worker.pings += 1;
        if (worker.servesSince === undefined && worker.pings > STARTS_WITHIN_PINGS)
          worker.process.kill(
            `it did not start in ${(STARTS_WITHIN_PINGS * PING_EVERY_MS) / 60_000} minutes`,
          );
        if (worker.unanswered > HUNG_AFTER_PINGS)
          worker.process.kill(`it did not answer for ${(HUNG_AFTER_PINGS * PING_EVERY_MS) / 1000} s`);
      }
      this.#pingLater();
    });
  }
}

function answered<Accepted>(worker: Worker<Accepted>): void {
  const { pingedAfter } = worker;
  worker.pingedAfter = undefined;
  worker.unanswered = 0;
  if (pingedAfter !== undefined) worker.doorPlace?.receivedAfter(pingedAfter);
}

/** What nobody here knows is thrown as it is. A worker of another build may send such: that costs the worker, not the server. */
function receiveKnown<Accepted>({ attached, process }: Worker<Accepted>, message: SubjectToControl): void {
  try {
    attached.receive(message);
  } catch (error) {
    if (error !== message) throw error;
    process.kill(`it sent what this server does not understand (${JSON.stringify(message.type)})`);
  }
}

function sendWithin<Accepted>(process: RunningWorker<Accepted>, message: ToWorker): void {
  const { unsentBytes } = process;
  if (unsentBytes > MAX_UNSENT_NEWS_BYTES && NEWS.has(message.type)) return;
  const isAnswer = message.type === 'answer' && message.failed === undefined;
  if (unsentBytes > MAX_UNSENT_BYTES)
    process.kill(`it did not read ${MAX_UNSENT_BYTES / 1024 / 1024} MiB that it was sent`);
  else process.send(isAnswer && unsentBytes > MAX_UNSENT_ANSWER_BYTES ? unanswered(message.call) : message);
}
