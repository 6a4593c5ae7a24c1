/** A live feed in the hands of a test, for the route of GET /live: it keeps who reads, and sends nothing by itself. */
import type { LiveFeed, LiveReader } from '../../src/core/live-feed.ts';

export function heldLiveFeed(): {
  readonly live: LiveFeed;
  readonly readers: readonly LiveReader[];
  /** Until a reader leaves. */
  readonly isWatched: () => boolean;
} {
  const readers: LiveReader[] = [];
  let isWatched = true;
  const live: LiveFeed = {
    snapshot: () => {
      throw new Error('not asked for');
    },
    watch: (_, reader) => {
      readers.push(reader);
      return () => {
        isWatched = false;
      };
    },
    disconnectAll: () => {},
    close: () => {},
  };
  return { live, readers, isWatched: () => isWatched };
}
