/** What callers are told when the engine cannot serve them. Why is in the log: that is the operator's business. */

import type { Milliseconds } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import type { LogFields } from '../../core/log.ts';
import type { EngineEnd } from './engine-process.ts';
import { type EngineSettings, GPU_NAMES, type GpuKind } from './messages.ts';

/** The engine had the request when it ended. */
export function lostError(how: 'stopped' | 'hung'): ServingError {
  return new ServingError('backend_error', {
    message: `The engine ${how} while it worked on this request. It is being restarted: send the request again.`,
  });
}

export function downError(): ServingError {
  return new ServingError('backend_error', {
    message:
      'The engine is not running: it could not be started, or keeps failing. Try again later; the server’s log says why.',
  });
}

export function closedError(): ServingError {
  return new ServingError('draining', { retryAfterSeconds: 1 });
}

/** `gpu`: where it computed, unless on the CPU. */
export function startFailedError(
  settings: Pick<EngineSettings, 'modelPath' | 'gpu'> | undefined,
  gpu: GpuKind | undefined,
  { how, lastWords }: EngineEnd,
): ServingError {
  const last = lastWords === undefined ? '' : `; it last wrote “${lastWords}”`;
  const device = gpu === undefined ? '' : ` on ${GPU_NAMES[gpu]}`;
  return new ServingError('backend_error', {
    message:
      `The engine died ${MAX_CRASHES_WAITED_FOR} times while it loaded ${settings?.modelPath ?? 'the model'}${device} ` +
      `(${how}${last}). ${gpu === undefined ? FILE_ADVICE : gpuAdvice(gpu, settings?.gpu)}`,
  });
}

const FILE_ADVICE =
  'The file may be damaged or need more memory than there is: delete it to have it fetched anew, ' +
  'lower slots or context_size, or give another file with --model PATH.';

function gpuAdvice(kind: GpuKind, gpu: EngineSettings['gpu'] | undefined): string {
  return (
    `${DRIVER_ADVICE[kind]} gpu is ${gpu}, so no other device was tried: ` +
    'set gpu: auto to go on with the next one, or gpu: off for the CPU.'
  );
}

const DRIVER_ADVICE: Readonly<Record<GpuKind, string>> = {
  cuda: 'The CUDA build needs an NVIDIA driver of version 590 or newer (nvidia-smi shows yours).',
  vulkan: 'The driver for Vulkan may be too old for this build (vulkaninfo shows yours).',
  metal: 'This version of macOS may be too old for this build.',
};

/** Fields of the log entry on a GPU that is not used again. */
export function gpuFailureFields(gpu: GpuKind, reason: string): LogFields {
  return { gpu: GPU_NAMES[gpu], reason, advice: DRIVER_ADVICE[gpu] };
}

/** How long to wait before an engine that died is started again. Pure. */

const FIRST_WAIT_MS = 1000;
const MAX_WAIT_MS = 30_000;
/** An engine that ran this long was healthy: its death counts as a first one. */
export const HEALTHY_AFTER_MS: Milliseconds = 60_000;
/** Up to here requests may wait for the restart; beyond, they are told that the engine is down. */
export const MAX_CRASHES_WAITED_FOR = 3;

/** The first restart is at once, then after 1 s, 2 s, 4 s … 30 s. `crashes` counts in a row, from 1. */
export function restartDelayMs(crashes: number): Milliseconds {
  if (crashes <= 1) return 0;
  return Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** (crashes - 2));
}
