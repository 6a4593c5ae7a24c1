import { defineConfig } from 'vitest/config';

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
 * A test waits for what it names, however long that takes on a machine that is busy with other things; these end only one
 * that waits in vain. How fast something is, is measured by `npm run bench`, not by a limit here.
 */
const limits = long
  ? { testTimeout: 1_200_000, hookTimeout: 600_000 }
  : { testTimeout: 180_000, hookTimeout: 180_000 };
/** The same where a model is loaded and decodes. */
const engineLimits = { testTimeout: long ? 1_200_000 : 600_000, hookTimeout: 600_000 };

/** Decoding collapses beside any other load on the cores, so whatever runs the real engine runs alone, after the rest. */
const withEngine = [
  `test/engine/process.${suffix}.ts`,
  `test/contract/llama-cpp.${suffix}.ts`,
  `test/engine/*.${suffix}.ts`,
  `test/end-to-end/embedded*.${suffix}.ts`,
  `test/clients/embedded.${suffix}.ts`,
  `test/real/**/*.${suffix}.ts`,
];

/** These start engines, stop and kill them, and let them say little: two at a time are not in each other's way. */
const withIdleEngines = [
  `test/end-to-end/embedded-{isolation,files,embeddings}.${suffix}.ts`,
  `test/engine/process.${suffix}.ts`,
];

/** These count in milliseconds when something happens: beside each other they may, for they wait more than they work. */
const byTheClock = [`test/end-to-end/{batching,scheduling,leaving-clients,upstream-faults}.${suffix}.ts`];

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    projects: [
      {
        test: {
          name: 'parallel',
          include: [`test/**/*.${suffix}.ts`, ...properties],
          exclude: [...withEngine, ...byTheClock],
          // Files leave nothing behind that another could stumble over, so they need no world of their own.
          isolate: false,
          ...limits,
          maxWorkers: long ? 1 : 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'fast',
          include: byTheClock,
          isolate: false,
          ...limits,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'engine-start',
          include: withIdleEngines,
          isolate: false,
          ...engineLimits,
          maxWorkers: long ? 1 : 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'engine',
          include: withEngine,
          exclude: withIdleEngines,
          isolate: false,
          ...engineLimits,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
