/** Who may import whom; the table of ARCHITECTURE.md. scripts/architecture.mjs checks that these rules do bite. */
export const MAY_IMPORT = {
  core: [],
  schema: [],
  access: ['core', 'schema'],
  limits: ['core'],
  leases: ['core'],
  usage: ['core'],
  stores: ['core', 'access', 'usage', 'limits', 'leases'],
  scheduling: ['core'],
  protocols: ['core', 'schema'],
  telemetry: ['core'],
  upstream: ['core'],
  models: ['core'],
  backends: ['core', 'upstream', 'lifeline'],
  lifeline: [],
  serving: ['core', 'scheduling'],
  http: ['core', 'access', 'limits', 'usage', 'scheduling', 'serving', 'protocols'],
  workers: ['core', 'limits', 'scheduling', 'serving'],
  config: ['core', 'schema'],
  chart: [],
  simulation: ['core', 'scheduling', 'leases'],
  bench: ['core', 'chart', 'upstream'],
};

/** Single files that may be imported beside the layers above, with the reason. */
const EXCEPTIONS = {
  // The supervisor resolves its model file.
  backends: ['^src/models/'],
  // Types, defaults and allowed values of the configuration come from the catalogues.
  config: [
    '^src/backends/(catalog|backend-definition)\\.ts$',
    '^src/scheduling/(policies|routing)\\.ts$',
    '^src/stores/valkey/address\\.ts$',
  ],
};

const layerRules = Object.entries(MAY_IMPORT).map(([layer, allowed]) => ({
  name: `${layer}-imports`,
  severity: 'error',
  from: { path: `^src/${layer}/` },
  to: {
    path: '^src/',
    pathNot: [layer, ...allowed].map((name) => `^src/${name}/`).concat(EXCEPTIONS[layer] ?? []),
  },
}));

export const forbidden = [
  ...layerRules,
  { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
  {
    name: 'pure-layers-touch-nothing',
    severity: 'error',
    from: {
      path: '^src/(core|scheduling|leases|protocols|schema|chart|simulation|backends/llama-cpp/grammar)/',
    },
    to: { dependencyTypes: ['core'] },
  },
  {
    name: 'grammars-import-core',
    severity: 'error',
    from: { path: '^src/backends/llama-cpp/grammar/' },
    to: { path: '^src/', pathNot: '^src/(core|backends/llama-cpp/grammar)/' },
  },
  {
    // Grammars are compiled and parsed on a thread beside the backend: the engine's loop would stop every stream for it.
    name: 'the-engine-parses-no-grammar',
    severity: 'error',
    from: { path: '^src/backends/llama-cpp/engine/' },
    to: {
      path: '^src/backends/llama-cpp/grammar/',
      pathNot: '/grammar/(limits|gbnf/stack-machine)\\.ts$',
      dependencyTypesNot: ['type-only'],
    },
  },
  {
    name: 'backends-know-no-sibling',
    severity: 'error',
    from: { path: '^src/backends/([^/]+)/' },
    to: { path: '^src/backends/[^/]+/', pathNot: '^src/backends/$1/' },
  },
  {
    name: 'only-the-engine-imports-the-library',
    severity: 'error',
    from: { pathNot: '^src/backends/llama-cpp/engine/' },
    to: { path: 'node_modules/node-llama-cpp/' },
  },
  {
    name: 'only-the-engine-imports-the-engine',
    severity: 'error',
    from: { pathNot: '^src/backends/llama-cpp/engine/' },
    to: { path: '^src/backends/llama-cpp/engine/' },
  },
  {
    name: 'cli-imports',
    severity: 'error',
    from: { path: '^src/cli/' },
    to: {
      path: '^src/',
      pathNot:
        '^src/(cli|access|usage|stores|config|models|core|telemetry|bench|chart|simulation|upstream|workers|backends/backend-definition\\.ts|compose(-control|-worker)?\\.ts|lifeline|system-clock\\.ts|schema)',
    },
  },
];

export const options = {
  tsPreCompilationDeps: true,
  tsConfig: { fileName: 'tsconfig.json' },
  doNotFollow: { path: 'node_modules' },
};
