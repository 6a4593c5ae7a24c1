/** The readers that one worker has, at the feed of the control process: what it sends them goes over the link, each by its number. */
import type { LiveFeed } from '../core/live-feed.ts';
import type { AskedOfControl, ViewsToWorker } from './view-messages.ts';

export class LiveWatches {
  readonly #live: Pick<LiveFeed, 'watch'>;
  readonly #send: (message: ViewsToWorker) => void;
  readonly #leave = new Map<number, () => void>();
  #isOver = false;

  constructor(options: {
    readonly live: Pick<LiveFeed, 'watch'>;
    readonly send: (message: ViewsToWorker) => void;
  }) {
    this.#live = options.live;
    this.#send = options.send;
  }

  /** Rejects as LiveFeed's. */
  async watch({ watch, owner, intervalMs }: AskedOfControl['watch']['details']): Promise<null> {
    const send = this.#send;
    const leave = await this.#live.watch(
      { owner: owner ?? undefined, intervalMs },
      {
        snapshot: (json) => send({ type: 'live-snapshot', watch, json }),
        heartbeat: () => send({ type: 'live-heartbeat', watch }),
        end: () => {
          this.unwatch(watch);
          send({ type: 'live-end', watch });
        },
      },
    );
    if (this.#isOver) leave();
    else this.#leave.set(watch, leave);
    return null;
  }

  unwatch(watch: number): void {
    this.#leave.get(watch)?.();
    this.#leave.delete(watch);
  }

  /** The worker is gone. */
  end(): void {
    this.#isOver = true;
    for (const watch of [...this.#leave.keys()]) this.unwatch(watch);
  }
}
