import { defineConfig } from 'vitest/config';
import { QuietReporter } from './test/support/reporter.ts';

const long = process.env.LLM_TEST_LONG === '1';
const suffix = long ? 'long' : 'test';
/** The long run tries the properties again, far more often. */
const properties = long
  ? [
      'test/unit/scheduling/*.test.ts',
      'test/unit/leases/*.test.ts',
      'test/unit/backends/llama-cpp/grammar/*.test.ts',
      'test/end-to-end/fuzz-{routes,admin}.test.ts',
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
const shared = {
  isolate: false,
  setupFiles: ['test/support/fixed-cases.ts'],
  ...limits,
  // For what lands a change, which is not to fail for a flaky test, but to name it; here a test has one try.
  retry: Number(process.env.LLM_TEST_RETRIES ?? 0),
  // Vitest's own second is too short for a page on a busy machine.
  expect: { poll: { timeout: 120_000 } },
  maxWorkers: long ? 1 : 2,
};

/** What loads a model into the embedded engine, or asks a real Ollama. */
const withEngine = [
  `test/clients/embedded.${suffix}.ts`,
  `test/contract/llama-cpp.${suffix}.ts`,
  `test/end-to-end/{embedded*,pace}.${suffix}.ts`,
  `test/engine/*.${suffix}.ts`,
  `test/real/*.${suffix}.ts`,
];

/** What starts processes, waits by the clock or computes for long, without an engine. */
const slow = [
  'test/browser/*.test.ts',
  'test/clients/*.test.ts',
  'test/contract/store-postgres*.test.ts',
  'test/end-to-end/store-faults*.test.ts',
  `test/end-to-end/{${[
    ...[
      'batching',
      'bench',
      'benchmarks',
      'configuration',
      'dashboards',
      'chat-snippets',
      'examples',
      'faults',
      'floods',
      'fuzz-admin',
      'fuzz-routes',
      'hostile-bodies',
      'large-bodies',
      'leaving-clients',
    ],
    ...[
      'models',
      'planted-secrets',
      'proxies',
      'receipts',
      'reload-triggers',
      'rolling-restart',
      'scheduling',
      'shutdown',
      'slot-leases',
      'slot-leases-reload',
      'slot-leases-workers',
      'terminal',
      'two-teams',
      'upstream-faults',
      'usage',
      'worker-views',
      'stalled-processes',
      'workers',
    ],
  ].join()}}.test.ts`,
  'test/contract/valkey-{limit,lease}-store.test.ts',
  'test/end-to-end/shared-limit*.test.ts',
  'test/unit/stores/valkey/*.test.ts',
  'test/unit/bench/*.test.ts',
  'test/unit/leases/lease-world.test.ts',
  'test/unit/backends/llama-cpp/engine-process.test.ts',
  'test/unit/backends/llama-cpp/grammar/hostile-schemas.test.ts',
  'test/unit/deploy/sbom.test.ts',
  'test/unit/models/wheel.test.ts',
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
          exclude: [...withEngine, ...(long ? [] : slow)],
          sequence: { groupOrder: 0 },
          ...shared,
        },
      },
      {
        test: {
          name: 'slow',
          include: long ? [] : slow,
          exclude: withEngine,
          sequence: { groupOrder: 1 },
          ...shared,
          // They wait as much as they compute.
          maxWorkers: 3,
        },
      },
      {
        test: {
          name: 'engine',
          include: withEngine,
          sequence: { groupOrder: 2 },
          ...shared,
          // A model is loaded and decodes.
          testTimeout: long ? 1_200_000 : 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
