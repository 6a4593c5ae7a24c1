/**
 * Targets that a reload has taken out of a worker's configuration, until their backends are closed: when the control process grants nothing
 * there any more, and the last request of this worker that runs there has ended. Nothing is cut.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import type { ModelId } from '../core/generation.ts';
import type { Log } from '../core/log.ts';
import type { TargetId } from '../scheduling/decision.ts';
import type { Target } from '../serving/targets.ts';

const LOOK_EVERY_MS: Milliseconds = 100;

interface ClosingTargetsOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Requests of this worker run there. */
  readonly isInUse: (target: Target) => boolean;
}

export class ClosingTargets {
  readonly #options: ClosingTargetsOptions;
  #targets: { readonly target: Target; mayGetMore: boolean }[] = [];
  #timer: Timer | undefined;

  constructor(options: ClosingTargetsOptions) {
    this.#options = options;
  }

  of(model: ModelId): readonly Target[] {
    return this.#targets.flatMap(({ target }) => (target.model === model ? target : []));
  }

  /** `mayGetMore`: the control process has not said yet that it grants nothing there. */
  add(target: Target, { mayGetMore }: { readonly mayGetMore: boolean }): void {
    this.#targets.push({ target, mayGetMore });
    this.#lookSoon();
  }

  /** The control process grants nothing there any more. */
  removed(id: TargetId): void {
    for (const closing of this.#targets) if (closing.target.id === id) closing.mayGetMore = false;
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    await Promise.allSettled(this.#targets.map(({ target }) => target.backend.close()));
  }

  #lookSoon(): void {
    this.#timer ??= this.#options.clock.schedule(LOOK_EVERY_MS, () => {
      this.#timer = undefined;
      const isOver = ({ target, mayGetMore }: { target: Target; mayGetMore: boolean }) =>
        !mayGetMore && !this.#options.isInUse(target);
      for (const { target } of this.#targets.filter(isOver)) this.#close(target);
      this.#targets = this.#targets.filter((closing) => !isOver(closing));
      if (this.#targets.length > 0) this.#lookSoon();
    });
  }

  #close(target: Target): void {
    const { log } = this.#options;
    const fields = { model: target.model, target: target.id };
    // The control process says that it is closed.
    target.backend.close().catch((error: unknown) => log.warn(`closing the target failed: ${error}`, fields));
  }
}
