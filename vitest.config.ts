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

/** Decoding collapses beside any other load on the cores, so whatever runs the real engine runs alone, after the rest. */
const withEngine = [
  `test/unit/backends/llama-cpp/engine-process.${suffix}.ts`,
  `test/contract/llama-cpp.${suffix}.ts`,
  `test/unit/backends/llama-cpp/real-*.${suffix}.ts`,
  `test/end-to-end/embedded*.${suffix}.ts`,
  `test/clients/embedded.${suffix}.ts`,
  `test/real/**/*.${suffix}.ts`,
];

/** What does not depend on how long things take may run two files at a time. */
const sideBySide = [
  `test/unit/**/*.${suffix}.ts`,
  `test/golden/**/*.${suffix}.ts`,
  `test/end-to-end/{models,configuration,fuzz-routes}.${suffix}.ts`,
];

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    projects: [
      {
        test: {
          name: 'parallel',
          include: [...sideBySide, ...properties],
          exclude: withEngine,
          testTimeout: long ? 600_000 : 20_000,
          hookTimeout: 30_000,
          maxWorkers: long ? 1 : 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'fast',
          include: [`test/**/*.${suffix}.ts`],
          exclude: [...withEngine, ...sideBySide],
          testTimeout: long ? 600_000 : 20_000,
          hookTimeout: 30_000,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'engine',
          include: withEngine,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
