/**
 * GET /live: what the server is doing now, as a stream of snapshots or as one. A reader that is slow loses snapshots: the one that is
 * being sent and the newest after it are all that is kept for it.
 */
import type { Milliseconds } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import type { LiveFeed, LiveReader } from '../../core/live-feed.ts';
import { type EdgeRoute, pageRoute, type RequestContext } from '../context.ts';
import type { ReaderWatch } from '../reader-watch.ts';

export const LIVE_PATH = '/live';

interface LiveRouteOptions {
  readonly live: LiveFeed;
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

export function liveRoutes({ live }: LiveRouteOptions): readonly EdgeRoute[] {
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
      await new LiveStream(context).follow(live, { owner, intervalMs });
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
  /** Event that is sent when the one before has left. */
  #pending: string | undefined;
  /** An event is on its way. */
  #isSending = false;
  /** Set while the reader is waited for. */
  #watch: ReaderWatch | undefined;
  #isOver = false;

  constructor(context: RequestContext) {
    this.#context = context;
    this.#pending = undefined;
    this.#watch = undefined;
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
    if (!this.#isSending) this.#send(':\n\n');
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pending = undefined;
    this.#stopWatching();
    this.#context.end('');
  }

  #send(event: string): void {
    const { response } = this.#context;
    if (this.#isOver || response.destroyed) return;
    if (this.#isSending) {
      this.#pending = event;
      return;
    }
    if (!response.headersSent) this.#context.begin(200, STREAM_HEADERS);
    this.#isSending = true;
    this.#context.write(event, this.#left);
    if (response.writableLength > 0) this.#watch = this.#context.watchReader(() => response.destroy());
  }

  readonly #left = (): void => {
    this.#isSending = false;
    this.#stopWatching();
    const next = this.#pending;
    this.#pending = undefined;
    if (next !== undefined) this.#send(next);
  };

  #stopWatching(): void {
    this.#watch?.cancel();
    this.#watch = undefined;
  }
}
