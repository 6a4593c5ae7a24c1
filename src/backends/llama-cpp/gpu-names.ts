/** The kinds of GPU as a log or an error names them. */
import type { GpuKind } from './messages.ts';

export const GPU_NAMES: Readonly<Record<GpuKind, string>> = {
  cuda: 'CUDA',
  vulkan: 'Vulkan',
  metal: 'Metal',
};
