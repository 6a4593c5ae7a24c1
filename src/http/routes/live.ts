/**
 * GET /live: what the server is doing now, as a stream of snapshots or as one. A reader that is slow loses snapshots: the one that is
 * being sent and the newest after it are all that is kept for it.
 */
import type { Clock, Milliseconds, Timer } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import type { LiveFeed, LiveReader } from '../../core/live-feed.ts';
import { type EdgeRoute, pageRoute, type RequestContext } from '../context.ts';
import type { EdgeSettings } from '../settings.ts';

export const LIVE_PATH = '/live';

interface LiveRouteOptions {
  readonly clock: Clock;
  readonly live: LiveFeed;
  readonly settings: Pick<EdgeSettings, 'stalledReaderMs'>;
}

export const LIVE_INTERVAL_MS = { least: 100, usual: 250, most: 5000 } as const;
const STREAM_HEADERS = [
  'content-type',
  'text/event-stream; charset=utf-8',
  'cache-control',
  'no-cache, no-transform',
  'x-accel-buffering',
  'no',
  // The stream ends with its connection, so that a shutdown waits for none.
  'connection',
  'close',
];

export function liveRoutes({ clock, live, settings }: LiveRouteOptions): readonly EdgeRoute[] {
  return [
    pageRoute(LIVE_PATH, async (context) => {
      const { method, headers, url = '' } = context.request;
      const intervalMs = intervalFrom(url);
      const owner = context.seesOnly;
      if (wantsJson(headers.accept)) {
        context.setHeader('cache-control', 'no-store');
        context.answerJson(200, await live.snapshot(owner));
        return;
      }
      if (method === 'HEAD') {
        context.begin(200, STREAM_HEADERS);
        context.end('');
        return;
      }
      await new LiveStream({ context, clock, stalledMs: settings.stalledReaderMs }).follow(live, {
        owner,
        intervalMs,
      });
    }),
  ];
}

/** Clients that take both get the stream. */
function wantsJson(accept = ''): boolean {
  return accept.includes('application/json') && !accept.includes('text/event-stream');
}

function intervalFrom(url: string): Milliseconds {
  const queryAt = url.indexOf('?');
  const text = queryAt === -1 ? null : new URLSearchParams(url.slice(queryAt)).get('interval_ms');
  if (text === null) return LIVE_INTERVAL_MS.usual;
  const { least, most } = LIVE_INTERVAL_MS;
  const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new ServingError('invalid_request', {
    message: `interval_ms is ${JSON.stringify(text.slice(0, 40))}, but must be a whole number from ${least} to ${most}.`,
    param: 'interval_ms',
  });
}

/** The stream of one reader. */
class LiveStream implements LiveReader {
  readonly #context: RequestContext;
  readonly #clock: Clock;
  readonly #stalledMs: Milliseconds;
  /** Event that is sent when the one before has left. */
  #pending: string | undefined;
  /** Set while an event is on its way. */
  #stall: Timer | undefined;
  #isOver = false;

  constructor(options: {
    readonly context: RequestContext;
    readonly clock: Clock;
    readonly stalledMs: Milliseconds;
  }) {
    this.#context = options.context;
    this.#clock = options.clock;
    this.#stalledMs = options.stalledMs;
    this.#pending = undefined;
    this.#stall = undefined;
  }

  /** Until its client leaves, or the feed ends. Rejects as `watch`. */
  async follow(
    live: LiveFeed,
    viewer: { readonly owner: string | undefined; readonly intervalMs: Milliseconds },
  ): Promise<void> {
    const leave = await live.watch(viewer, this);
    const close = () => {
      this.#isOver = true;
      this.#pending = undefined;
      this.#stall?.cancel();
      leave();
    };
    // Its client may have left while the feed was asked.
    if (this.#context.isClosed) close();
    else this.#context.onClose(close);
  }

  snapshot(json: string): void {
    this.#send(`event: snapshot\ndata: ${json}\n\n`);
  }

  heartbeat(): void {
    if (this.#stall === undefined) this.#send(':\n\n');
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pending = undefined;
    this.#context.end('');
  }

  #send(event: string): void {
    const { response } = this.#context;
    if (this.#isOver || response.destroyed) return;
    if (this.#stall !== undefined) {
      this.#pending = event;
      return;
    }
    if (!response.headersSent) this.#context.begin(200, STREAM_HEADERS);
    this.#stall = this.#clock.schedule(this.#stalledMs, () => response.destroy());
    this.#context.write(event, this.#left);
  }

  readonly #left = (): void => {
    this.#stall?.cancel();
    this.#stall = undefined;
    const next = this.#pending;
    this.#pending = undefined;
    if (next !== undefined) this.#send(next);
  };
}
