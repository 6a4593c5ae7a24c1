import { defineConfig } from 'vitest/config';

const long = process.env.LLM_TEST_LONG === '1';

export default defineConfig({
  test: {
    include: long ? ['test/**/*.long.ts'] : ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // Two workers on two cores; the engine's own tests run alone (its decoding collapses beside other load).
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    reporters: ['default'],
  },
});
