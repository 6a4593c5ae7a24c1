/** The real engine where CUDA takes all layers and aborts at its first computation, as a build newer than the driver does. */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { embeddedEngine, never, read, requestFor } from '../support/embedded-engine.ts';
import { pulled } from '../support/pulled-generation.ts';

const enginePath = fileURLToPath(new URL('../support/failing-gpu/engine.mjs', import.meta.url));

it('goes on with the CPU under gpu: auto, warns with the reason, and answers', async () => {
  const { backend, lines, pids } = embeddedEngine({ slots: 1, gpu: 'auto' }, enginePath);
  await backend.warmUp({ signal: never() });
  expect(await backend.probe()).toMatchObject({ state: 'ready', loaded: true });
  const { finish } = await read(
    pulled(backend, requestFor('Hello', { limits: { maxTokens: 4 } }), { signal: never() }),
  );
  expect(finish.usage.completionTokens).toBeGreaterThan(0);
  // The engine that died never said that it was ready.
  expect(pids).toHaveLength(1);
  const warning = lines.find((line) => line.startsWith('GPU failed before the first token'));
  expect(warning).toContain('unsupported toolchain');
  expect(warning).toContain('590 or newer');
  expect(lines.join('\n')).toContain('computes on the CPU (CUDA failed before the first token)');
});

it('does not serve a number of layers elsewhere, and says why', async () => {
  const { backend, pids } = embeddedEngine({ slots: 1, gpu: 30 }, enginePath);
  await expect(backend.warmUp({ signal: never() })).rejects.toThrow(
    /died 3 times while it loaded .* on CUDA .*unsupported toolchain.*590 or newer.*gpu is 30, so no other device/,
  );
  expect(pids).toEqual([]);
});
