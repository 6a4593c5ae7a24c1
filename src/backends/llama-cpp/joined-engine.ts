/**
 * The engine of a backend whose process does not run it: hears from the one that does how the engine is, and connects to it while it is
 * ready. Owns the connection. Requests fare as in the process that runs the engine: those that a lost engine or connection had fail, so
 * that serving tries them again, and the others wait for the next one.
 */
import { connect } from 'node:net';
import type { CallOptions, TargetStatus } from '../../core/backend.ts';
import type { Clock, Milliseconds, Timer } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import type { EngineNotice } from '../engine-sharing.ts';
import { EngineAccess } from './engine-access.ts';
import { type HeardEngine, readNotice } from './engine-notice.ts';
import type { EngineSource } from './engine-source.ts';
import { type ReadyEngine, statusOf } from './engine-state.ts';
import { GuestConnection } from './guest-connection.ts';
import type { EngineEvents, WorkForEngine } from './messages.ts';

/** An engine that has ended is told of sooner than this: only one that runs is connected to again. */
const RECONNECT_AFTER_MS: Milliseconds = 250;

interface JoinedEngineOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** As configured. */
  readonly contextSize: number;
  readonly watch: (listener: (notice: EngineNotice | undefined) => void) => () => void;
}

export class JoinedEngine implements EngineSource {
  readonly access = new EngineAccess((message) => this.#connection?.send(message));
  readonly #options: JoinedEngineOptions;
  readonly #stopWatching: () => void;
  #heard: HeardEngine = { state: { phase: 'idle' } };
  /** Open, or being opened. */
  #connection: GuestConnection<WorkForEngine, EngineEvents> | undefined;
  #reconnect: Timer | undefined;
  /** Since it was connected last. */
  #hasWarned = false;

  constructor(options: JoinedEngineOptions) {
    this.#options = options;
    this.#stopWatching = options.watch((notice) => this.#hear(notice));
  }

  status(): TargetStatus {
    return statusOf(this.access.state, this.#options);
  }

  /** The process that runs the engine warms it up. */
  async warmUp({ signal }: CallOptions): Promise<void> {
    await this.access.whenReady(signal);
  }

  async close(): Promise<void> {
    this.#stopWatching();
    this.#hear(undefined);
  }

  #hear(notice: EngineNotice | undefined): void {
    if (this.access.state.phase === 'closed') return;
    this.#heard = notice === undefined ? { state: { phase: 'closed' } } : readNotice(notice);
    const { state, loss } = this.#heard;
    if (state.phase === 'ready') {
      if (this.#connection === undefined) this.#connect(state);
      return;
    }
    this.#disconnect();
    this.access.enter(state, loss);
  }

  #disconnect(): void {
    this.#reconnect?.cancel();
    this.#connection?.close();
    this.#connection = undefined;
  }

  #connect(state: ReadyEngine): void {
    this.#reconnect?.cancel();
    const { address = '' } = this.#heard;
    // Requests wait until it is there.
    if (this.access.state.phase === 'idle') this.access.enter({ phase: 'loading' });
    const socket = connect(address);
    const connection: GuestConnection<WorkForEngine, EngineEvents> = new GuestConnection({
      socket,
      clock: this.#options.clock,
      onMessage: ({ events }) => this.access.deliver(events),
      onEnd: (error) => this.#ended(error),
    });
    this.#connection = connection;
    socket.once('connect', () => {
      if (this.#connection !== connection) return;
      this.#hasWarned = false;
      this.access.enter(state);
    });
  }

  /** The engine has ended, which is told of soon if it has not been; or it has cut this process off. */
  #ended(error: Error | undefined): void {
    this.#connection = undefined;
    const { clock, log } = this.#options;
    if (this.access.state.phase === 'ready') {
      const detail = 'The connection to the engine was lost.';
      this.access.enter({ phase: 'restarting', waitWorthwhile: true, detail }, 'stopped');
    }
    this.#reconnect = clock.schedule(RECONNECT_AFTER_MS, () => {
      const { state, address } = this.#heard;
      if (state.phase !== 'ready' || this.#connection !== undefined) return;
      if (!this.#hasWarned) {
        const reason = error?.message ?? 'the connection has ended';
        log.warn('connects to the engine again, until it is there', { address, reason });
      }
      this.#hasWarned = true;
      this.#connect(state);
    });
  }
}
