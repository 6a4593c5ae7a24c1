/**
 * Which GPUs an engine with `gpu: auto` no longer uses, because an engine ended on them before its first token. Pure.
 * Invariant: a kind of GPU is excluded once and for good, so that the CPU is reached after at most three.
 */
import type { GpuKind } from './messages.ts';

/** Early ends in a row after which even a GPU that worked before is left: its driver may have been replaced. */
const MAX_EARLY_ENDS_OF_PROVEN = 3;

export class GpuFallback {
  readonly #excluded: GpuKind[] = [];
  readonly #proven = new Set<GpuKind>();
  #opened: GpuKind | undefined;
  #earlyEnds = 0;

  get excluded(): readonly GpuKind[] {
    return this.#excluded;
  }

  /** Where the engine that runs now computes; absent: on the CPU, or not known yet. */
  get opened(): GpuKind | undefined {
    return this.#opened;
  }

  /** A new engine is started. */
  launched(): void {
    this.#opened = undefined;
  }

  deviceOpened(device: GpuKind | 'cpu'): void {
    this.#opened = device === 'cpu' ? undefined : device;
  }

  /** The engine has decoded its first token: a later death is no reason to leave the GPU. */
  ready(): void {
    this.#earlyEnds = 0;
    if (this.#opened !== undefined) this.#proven.add(this.#opened);
  }

  /** The engine ended before it was ready. Returns the GPU that is not used again, if that was the reason. */
  endedEarly(): GpuKind | undefined {
    const gpu = this.#opened;
    if (gpu === undefined) return undefined;
    this.#earlyEnds += 1;
    if (this.#proven.has(gpu) && this.#earlyEnds < MAX_EARLY_ENDS_OF_PROVEN) return undefined;
    this.#earlyEnds = 0;
    this.#excluded.push(gpu);
    return gpu;
  }
}
