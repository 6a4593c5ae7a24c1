/**
 * Pure: what the charts show, one point for each second of the last minutes. Rates are of that second, counted from what the snapshots
 * show of each request; where the page may see only its own requests they come from the server's sums instead.
 */
import type { LiveSnapshot } from '../../src/core/live-snapshot.ts';

/** Points that are kept, and so seconds. */
export const KEPT_POINTS = 300;
const POINT_MS = 1_000;

/** In the order of `Series.columns`. Null: not known then. */
export const COLUMNS = [
  'at',
  'tokens',
  'finished',
  'within',
  'running',
  'waiting',
  'ttftP50',
  'ttftP90',
  'gapP50',
  'gapP90',
] as const;
export type Column = (typeof COLUMNS)[number];

type Point = Readonly<Record<Column, number | null>>;

export class Series {
  readonly #points: Point[] = [];
  /** Tokens that each request had in the snapshot before. */
  #tokensOf = new Map<string, number>();
  #tokens = 0;
  #finished = 0;
  #since: number | null = null;

  get size(): number {
    return this.#points.length;
  }

  /** Seconds since the epoch, or a figure, of all points. */
  column(name: Column): (number | null)[] {
    return this.#points.map((point) => point[name]);
  }

  get last(): Point | undefined {
    return this.#points.at(-1);
  }

  push(snapshot: LiveSnapshot): void {
    const at = snapshot.at_ms;
    this.#count(snapshot);
    if (this.#since === null) {
      // What came before this page looked is not of this second.
      this.#begin(at);
      return;
    }
    const passed = at - this.#since;
    if (passed < POINT_MS) return;
    const { sums } = snapshot;
    const all = snapshot.scope === 'all';
    const seconds = passed / 1_000;
    const windowSeconds = Math.max(1, sums.window_seconds);
    const share = sums.finished === 0 ? 1 : sums.within_objectives / sums.finished;
    const finished = all ? this.#finished / seconds : sums.finished / windowSeconds;
    this.#add({
      at: at / 1_000,
      tokens: all ? this.#tokens / seconds : sums.completion_tokens / windowSeconds,
      finished,
      within: finished * share,
      running: total(snapshot, 'running'),
      waiting: total(snapshot, 'waiting'),
      ttftP50: sums.ttft_ms?.p50 ?? null,
      ttftP90: sums.ttft_ms?.p90 ?? null,
      gapP50: sums.inter_token_ms?.p50 ?? null,
      gapP90: sums.inter_token_ms?.p90 ?? null,
    });
    this.#begin(at);
  }

  /** No snapshots came for a while: the lines are broken there. */
  interrupted(): void {
    const { last } = this;
    if (last?.at != null && last.running !== null) this.#add({ ...NOTHING, at: last.at + 1 });
    this.#since = null;
    this.#tokensOf = new Map();
  }

  #begin(at: number): void {
    this.#since = at;
    this.#tokens = 0;
    this.#finished = 0;
  }

  #add(point: Point): void {
    this.#points.push(point);
    if (this.#points.length > KEPT_POINTS) this.#points.shift();
  }

  #count({ running, ended, ended_omitted }: LiveSnapshot): void {
    const tokensOf = new Map<string, number>();
    for (const one of running) {
      const key = keyOf(one);
      tokensOf.set(key, (tokensOf.get(key) ?? 0) + one.completion_tokens);
    }
    for (const [key, tokens] of tokensOf)
      this.#tokens += Math.max(0, tokens - (this.#tokensOf.get(key) ?? 0));
    for (const one of ended) {
      const before = this.#tokensOf.get(keyOf(one)) ?? 0;
      this.#tokens += Math.max(0, (one.completion_tokens ?? 0) - before);
      if (one.model !== null && one.status === 200 && one.error_code === null) this.#finished += 1;
    }
    this.#finished += ended_omitted;
    this.#tokensOf = tokensOf;
  }
}

const NOTHING = Object.fromEntries(COLUMNS.map((name) => [name, null])) as Point;

function keyOf(request: { readonly request_id: string; readonly received_at_ms: number }): string {
  return `${request.request_id} ${request.received_at_ms}`;
}

function total({ models }: LiveSnapshot, what: 'running' | 'waiting'): number {
  return models.reduce((sum, model) => sum + model[what], 0);
}
