/**
 * Which GPUs an engine with `gpu: auto` no longer uses because it ended on them before its first token, and what
 * operators read when an engine cannot start. Pure. Invariant: a kind of GPU is excluded once and for good, so that the
 * CPU is reached after at most three.
 */
import { ServingError } from '../../core/errors.ts';
import type { LogFields } from '../../core/log.ts';
import type { EngineEnd } from './engine-process.ts';
import { type EngineSettings, GPU_NAMES, type GpuKind } from './messages.ts';

/** Early ends in a row after which even a GPU that worked before is excluded: its driver may have been replaced. */
const MAX_EARLY_ENDS_OF_PROVEN = 3;

export class GpuFallback {
  readonly #excluded: GpuKind[] = [];
  readonly #proven = new Set<GpuKind>();
  #opened: GpuKind | undefined;
  #earlyEnds = 0;

  get excluded(): readonly GpuKind[] {
    return this.#excluded;
  }

  /** Where the engine that runs now computes. Undefined: on the CPU, or not known yet. */
  get opened(): GpuKind | undefined {
    return this.#opened;
  }

  /** A new engine was started. */
  launched(): void {
    this.#opened = undefined;
  }

  deviceOpened(device: GpuKind | 'cpu'): void {
    this.#opened = device === 'cpu' ? undefined : device;
  }

  /** The engine has decoded its first token: a later death is no reason to exclude the GPU. */
  ready(): void {
    this.#earlyEnds = 0;
    if (this.#opened !== undefined) this.#proven.add(this.#opened);
  }

  /** The engine ended before it was ready. Returns the GPU that is excluded for it, if that was the reason. */
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

const DRIVER_ADVICE: Readonly<Record<GpuKind, string>> = {
  cuda: 'The CUDA build needs an NVIDIA driver of version 590 or newer (nvidia-smi shows yours).',
  vulkan: 'The driver for Vulkan may be too old for this build (vulkaninfo shows yours).',
  metal: 'This version of macOS may be too old for this build.',
};

/** Fields of the log entry on a GPU that is excluded. */
export function gpuFailureFields(gpu: GpuKind, reason: string): LogFields {
  return { gpu: GPU_NAMES[gpu], reason, advice: DRIVER_ADVICE[gpu] };
}

const FILE_ADVICE =
  'The file may be damaged or need more memory than there is: delete it to have it downloaded again, ' +
  'lower slots or context_size, or give another file with --model PATH.';

/** `device`: the GPU that it computed on; undefined for the CPU. */
export function startFailedError(failure: {
  readonly modelPath: string;
  readonly gpu: EngineSettings['gpu'] | undefined;
  readonly crashes: number;
  readonly device: GpuKind | undefined;
  readonly end: EngineEnd;
}): ServingError {
  const { modelPath, gpu, crashes, device, end } = failure;
  const last = end.lastWords === undefined ? '' : `; it last wrote “${end.lastWords}”`;
  const where = device === undefined ? '' : ` on ${GPU_NAMES[device]}`;
  const advice =
    device === undefined
      ? FILE_ADVICE
      : `${DRIVER_ADVICE[device]} gpu is ${gpu}, so no other device was tried: ` +
        'set gpu: auto to go on with the next one, or gpu: off for the CPU.';
  return new ServingError('backend_error', {
    message: `The engine died ${crashes} times while it loaded ${modelPath}${where} (${end.how}${last}). ${advice}`,
    failure: 'engine_lost',
  });
}
