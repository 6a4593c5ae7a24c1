import { expect, it } from 'vitest';
import { GpuFallback } from '../../../../src/backends/llama-cpp/gpu-fallback.ts';

function launchedOn(fallback: GpuFallback, device: 'cuda' | 'vulkan' | 'cpu'): void {
  fallback.launched();
  fallback.deviceOpened(device);
}

it('leaves a GPU at the first end before a first token', () => {
  const fallback = new GpuFallback();
  launchedOn(fallback, 'cuda');
  expect(fallback.endedEarly()).toBe('cuda');
  launchedOn(fallback, 'vulkan');
  expect(fallback.endedEarly()).toBe('vulkan');
  launchedOn(fallback, 'cpu');
  expect(fallback.endedEarly()).toBeUndefined();
  expect(fallback.excluded).toEqual(['cuda', 'vulkan']);
});

it('blames no GPU for an engine that ended before it opened one', () => {
  const fallback = new GpuFallback();
  launchedOn(fallback, 'cuda');
  fallback.ready();
  fallback.launched();
  expect(fallback.endedEarly()).toBeUndefined();
  expect(fallback.excluded).toEqual([]);
});

it('leaves one that worked before only after three such ends in a row', () => {
  const fallback = new GpuFallback();
  const end = () => {
    launchedOn(fallback, 'cuda');
    return fallback.endedEarly();
  };
  launchedOn(fallback, 'cuda');
  fallback.ready();
  expect([end(), end()]).toEqual([undefined, undefined]);
  launchedOn(fallback, 'cuda');
  fallback.ready();
  expect([end(), end(), end()]).toEqual([undefined, undefined, 'cuda']);
});
