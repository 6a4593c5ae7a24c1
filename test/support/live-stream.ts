/** Reads GET /live in tests: the snapshots of a stream as they come. */
import type { LiveSnapshot } from '../../src/core/live-snapshot.ts';
import { type OpenAnswer, openAnswer } from './http-client.ts';

export interface LiveReading {
  readonly answer: OpenAnswer;
  snapshots(): LiveSnapshot[];
  /** The first snapshot that fits, had already or yet to come. */
  until(fits: (snapshot: LiveSnapshot) => boolean): Promise<LiveSnapshot>;
}

export async function readLive(
  server: { readonly url: string },
  {
    headers = {},
    query = '?interval_ms=100',
  }: { headers?: Readonly<Record<string, string>>; query?: string } = {},
): Promise<LiveReading> {
  const answer = await openAnswer(`${server.url}/live${query}`, { headers });
  const snapshots = () => snapshotsOf(answer.text());
  return {
    answer,
    snapshots,
    until: async (fits) => {
      await answer.until((text) => snapshotsOf(text).some(fits));
      const found = snapshots().find(fits);
      if (found === undefined) throw new Error('no snapshot fits');
      return found;
    },
  };
}

function snapshotsOf(text: string): LiveSnapshot[] {
  return text
    .split('\n\n')
    .slice(0, -1)
    .filter((event) => event.startsWith('event: snapshot\n'))
    .map((event) => JSON.parse(event.slice(event.indexOf('data: ') + 'data: '.length)) as LiveSnapshot);
}
