/**
 * Whether the shared store is asked. After one failure it is not, until a probe has succeeded; probes come at growing distances. Pure: the
 * time and chance are arguments.
 */
import type { Milliseconds } from '../../core/clock.ts';

const FIRST_PROBE_MS = 100;
const LAST_PROBE_MS = 1000;

export class Circuit {
  #isUp = false;
  #failures = 0;

  get isUp(): boolean {
    return this.#isUp;
  }

  /** `chance`: from 0 up to 1, so that replicas do not all probe in the same moment. Returns how long to wait before the next probe. */
  failed(chance: number): Milliseconds {
    this.#isUp = false;
    const step = Math.min(LAST_PROBE_MS, FIRST_PROBE_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    return step * (0.5 + chance / 2);
  }

  succeeded(): void {
    this.#isUp = true;
    this.#failures = 0;
  }
}
