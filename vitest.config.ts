import { defineConfig } from 'vitest/config';
import { QuietReporter } from './test/support/reporter.ts';

const long = process.env.LLM_TEST_LONG === '1';
const suffix = long ? 'long' : 'test';
/** The long run tries the properties again, far more often. */
const properties = long
  ? [
      'test/unit/scheduling/*.test.ts',
      'test/unit/backends/llama-cpp/grammar/*.test.ts',
      'test/end-to-end/fuzz-routes.test.ts',
    ]
  : [];

/**
 * A test waits for what it names, however long that takes on a machine that is busy with other things; these limits end
 * only one that waits in vain. How fast something is belongs to `npm run bench` and the long run.
 */
const limits = long
  ? { testTimeout: 1_200_000, hookTimeout: 600_000 }
  : { testTimeout: 180_000, hookTimeout: 180_000 };

/** Files leave nothing behind for the next one, so those of a worker share its modules, and one engine. */
const shared = { isolate: false, ...limits, maxWorkers: long ? 1 : 2 };

/** What loads a model into the embedded engine, or asks a real Ollama. */
const withEngine = [
  `test/clients/embedded.${suffix}.ts`,
  `test/contract/llama-cpp.${suffix}.ts`,
  `test/end-to-end/{embedded*,pace}.${suffix}.ts`,
  `test/engine/*.${suffix}.ts`,
  `test/real/*.${suffix}.ts`,
];

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    reporters: [new QuietReporter()],
    silent: 'passed-only',
    projects: [
      {
        test: {
          name: 'quick',
          include: [`test/**/*.${suffix}.ts`, ...properties],
          exclude: withEngine,
          sequence: { groupOrder: 0 },
          ...shared,
        },
      },
      { test: { name: 'engine', include: withEngine, sequence: { groupOrder: 1 }, ...shared } },
    ],
  },
});
