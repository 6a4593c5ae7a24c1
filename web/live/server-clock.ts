/** Pure: the server's clock, as snapshots tell it. Their delay varies; the fastest of the last ones counts. */

/** Milliseconds by which a snapshot may correct the clock backwards: delays that grow are followed slowly. */
const DRIFT_MS = 2;
/** Beyond it the server, or its clock, is another one. */
const JUMP_MS = 3_000;

export class ServerClock {
  #ahead: number | undefined;

  /** `at`: by the server's clock; `here`: by the page's, when it arrived. */
  heard(at: number, here: number): void {
    const ahead = at - here;
    const before = this.#ahead;
    this.#ahead =
      before === undefined || Math.abs(ahead - before) > JUMP_MS ? ahead : Math.max(ahead, before - DRIFT_MS);
  }

  /** NaN before the first snapshot. */
  now(here: number): number {
    return this.#ahead === undefined ? Number.NaN : here + this.#ahead;
  }
}
