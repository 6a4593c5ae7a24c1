/**
 * The live feed as a worker has it: its readers look at the feed of the control process, which makes the snapshots of what all workers do.
 * Owns its readers. Invariant: a reader that has left, or was ended, gets nothing more.
 */
import type { Milliseconds } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { LiveFeed, LiveReader } from '../core/live-feed.ts';
import type { LiveSnapshot } from '../core/live-snapshot.ts';
import type { Asker } from './questions.ts';
import type { AskedOfControl, ViewsToControl, ViewsToWorker } from './view-messages.ts';

interface RemoteLiveFeedOptions {
  readonly asker: Asker<AskedOfControl>;
  readonly send: (message: ViewsToControl) => void;
}

type LiveMessage = Extract<ViewsToWorker, { type: 'live-snapshot' | 'live-heartbeat' | 'live-end' }>;

export class RemoteLiveFeed implements LiveFeed {
  readonly #options: RemoteLiveFeedOptions;
  readonly #readers = new Map<number, LiveReader>();
  #watches = 0;
  #isClosed = false;

  constructor(options: RemoteLiveFeedOptions) {
    this.#options = options;
  }

  async snapshot(owner: string | undefined): Promise<LiveSnapshot> {
    return JSON.parse(await this.#options.asker.ask('live', { owner: owner ?? null })) as LiveSnapshot;
  }

  async watch(
    { owner, intervalMs }: { readonly owner: string | undefined; readonly intervalMs: Milliseconds },
    reader: LiveReader,
  ): Promise<() => void> {
    if (this.#isClosed)
      throw new ServingError('draining', { message: 'The server is shutting down.', retryAfterSeconds: 1 });
    this.#watches += 1;
    const watch = this.#watches;
    this.#readers.set(watch, reader);
    try {
      await this.#options.asker.ask('watch', { watch, owner: owner ?? null, intervalMs });
    } catch (error) {
      this.#leave(watch);
      throw error;
    }
    return () => this.#leave(watch);
  }

  receive(message: LiveMessage): void {
    const { type, watch } = message;
    const reader = this.#readers.get(watch);
    if (type === 'live-snapshot') reader?.snapshot(message.json);
    else if (type === 'live-heartbeat') reader?.heartbeat();
    else {
      this.#readers.delete(watch);
      reader?.end();
    }
  }

  disconnectAll(): void {
    for (const [watch, reader] of [...this.#readers]) {
      this.#leave(watch);
      reader.end();
    }
  }

  close(): void {
    this.#isClosed = true;
    this.disconnectAll();
  }

  #leave(watch: number): void {
    if (this.#readers.delete(watch)) this.#options.send({ type: 'unwatch', watch });
  }
}
