import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../src/config/config-error.ts';
import { type ConfigSources, loadConfig } from '../../../src/config/load.ts';

function load(sources: Partial<ConfigSources> & { text?: string } = {}) {
  const { text, ...rest } = sources;
  const file = text === undefined ? {} : { file: { name: 'llm-serve.yaml', text } };
  return loadConfig({ flags: {}, environment: {}, ...file, ...rest });
}

function problem(sources: Parameters<typeof load>[0]): string {
  try {
    load(sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return 'no problem';
}

describe('the configuration', () => {
  it('has the documented defaults', () => {
    const { config, warnings } = load();
    expect(warnings).toEqual([]);
    expect(config.server).toMatchObject({
      host: '127.0.0.1',
      port: 8000,
      heartbeat_seconds: 15,
      shutdown_grace_seconds: 20,
    });
    expect(config.scheduler).toEqual({
      mode: 'eager',
      order: 'fair',
      max_batch_size: 16,
      window_ms: 5,
      max_overtakes: 4,
      max_queue: 512,
      max_queue_bytes: 67108864,
      aging_ms: 10000,
      high_priority_clients: [],
      queue_timeout_ms: 60000,
    });
    expect(config.rate_limit).toMatchObject({ enabled: 'with_keys', requests: 60, window_seconds: 60 });
    expect(config.default_model).toBe('smollm2');
    expect(config.models[0]?.targets[0]?.values).toMatchObject({
      model: 'smollm2-135m-instruct',
      slots: 4,
      context_size: 2048,
    });
  });

  it('prefers the flag to the environment to the file to the default', () => {
    const text = 'server: { port: 1111, host: localhost, body_limit_bytes: 9 }';
    const environment = { LLM_SERVE_SERVER__PORT: '2222', LLM_SERVE_SERVER__HOST: '::1' };
    const { server } = load({ text, environment, flags: { 'server.port': '3333' } }).config;
    expect(server).toMatchObject({ port: 3333, host: '::1', body_limit_bytes: 9, body_timeout_seconds: 15 });
  });

  it('takes lists and maps from the environment as JSON', () => {
    const environment = {
      LLM_SERVE_MODELS: '[{"id":"a","targets":[{"backend":"ollama","model":"x"}]}]',
      LLM_SERVE_SERVER__TRUSTED_PROXIES: '["10.0.0.0/8"]',
    };
    const { config } = load({ environment });
    expect(config.models.map(({ id }) => id)).toEqual(['a']);
    expect(config.default_model).toBe('a');
    expect(config.server.trusted_proxies).toEqual(['10.0.0.0/8']);
  });

  it('reads ${NAME} in the file from the environment', () => {
    const text = 'auth: { api_keys: ["${KEY}"] }';
    expect(load({ text, environment: { KEY: 'secret-key' } }).config.auth.api_keys).toEqual([
      { name: 'api_keys[0]', key: 'secret-key' },
    ]);
    expect(problem({ text })).toBe(
      'auth.api_keys[0] in llm-serve.yaml uses the environment variable KEY, which is not set.',
    );
  });

  it('takes a shortcut for one model', () => {
    const { config } = load({ flags: { backend: 'ollama', url: 'http://host:11434', model: 'llama3.2' } });
    expect(config.default_model).toBe('llama3.2');
    expect(config.models).toHaveLength(1);
    expect(config.models[0]?.targets[0]?.values).toMatchObject({
      url: 'http://host:11434',
      model: 'llama3.2',
      slots: 4,
    });
  });

  it.each([
    ['hf:owner/repo/sub/Tiny.Q4_0.gguf', 'Tiny.Q4_0'],
    ['hf:owner/repo/tiny.gguf@v1.0', 'tiny'],
    [`https://host/a/tiny.gguf#sha256=${'ab'.repeat(32)}`, 'tiny'],
    ['https://host/tiny.gguf?key=a/b.gguf', 'tiny'],
  ])('calls %s by the stem of its file', (model, id) => {
    const { config } = load({ flags: { model } });
    expect(config).toMatchObject({ default_model: id, models: [{ id, targets: [{ values: { model } }] }] });
  });

  it('refuses a model name that cannot be, with the reason', () => {
    expect(() => load({ flags: { model: 'hf:owner/../x.gguf' } })).toThrow(
      /^The model name "hf:owner\/\.\.\/x\.gguf" .*repository/,
    );
  });

  it.each([
    [
      { flags: { backend: 'vllm', model: 'x', url: 'gpu-1:8000/v1' } },
      'url is "gpu-1:8000/v1"; write it with its scheme: http://gpu-1:8000/v1.',
    ],
    [
      { text: 'models: [{ id: a, targets: [{ backend: ollama, model: x, url: "//127.0.0.1:11434" }] }]' },
      'models[0].targets[0].url is "//127.0.0.1:11434"; write it with its scheme: http://127.0.0.1:11434.',
    ],
    [
      { flags: { backend: 'ollama', model: 'x', url: 'ftp://host' } },
      'url is "ftp://host", but must be an address such as http://localhost:8001, without user, query and fragment.',
    ],
    [
      { flags: { backend: 'vllm', model: 'x' } },
      'url is missing. It must be an address such as http://localhost:8001, without user, query and fragment.',
    ],
  ])('explains an address that is none: %j', (sources, told) => {
    expect(problem(sources)).toBe(told);
  });

  it('refuses an address of a hub that is none', () => {
    expect(() => load({ flags: { 'cache.hub_url': 'ftp://hub' } })).toThrow(
      /^cache\.hub_url is "ftp:\/\/hub", but must be an address/,
    );
  });

  it('takes the shortcut from the environment too, and a model file by its stem', () => {
    const { config } = load({ environment: { LLM_SERVE_MODEL: '/models/tiny.gguf' } });
    expect(config.models[0]).toMatchObject({
      id: 'tiny',
      targets: [{ definition: { embedded: true }, values: { model: '/models/tiny.gguf' } }],
    });
  });

  it('presets what a short backend name stands for', () => {
    const { config } = load({ flags: { backend: 'vllm', url: 'http://gpu:8000/v1', model: 'big' } });
    expect(config.models[0]?.targets[0]).toMatchObject({
      definition: { name: 'openai-compatible' },
      values: { flavor: 'vllm', slots: 64 },
    });
  });

  it('refuses to pass on what a request says in its own right', () => {
    const target = {
      backend: 'vllm',
      url: 'http://gpu:8000',
      model: 'big',
      pass_fields: ['my_field', 'stream'],
    };
    expect(() => load({ flags: { models: JSON.stringify([{ id: 'big', targets: [target] }]) } })).toThrow(
      /^models\[0\]\.targets\[0\]: pass_fields contains stream/,
    );
  });

  it('does not warn of the variables that the commands of a client read', () => {
    const { warnings } = load({ environment: { LLM_SERVE_SERVER: 'gpu-1:8000', LLM_SERVE_KEY: 'secret' } });
    expect(warnings).toEqual([]);
  });

  it('only warns of unknown variables, such as those Kubernetes injects', () => {
    const { config, warnings } = load({ environment: { LLM_SERVE_PORT: 'tcp://10.0.0.1:8000' } });
    expect(config.server.port).toBe(8000);
    expect(warnings).toEqual(['The environment variable LLM_SERVE_PORT is not a setting and is ignored.']);
  });
});

describe('precedence of the shortcut', () => {
  const environment = { LLM_SERVE_BACKEND: 'ollama', LLM_SERVE_MODEL: 'from-environment', LLM_SERVE_URL: '' };

  it('warns of a price for a model that is not there', () => {
    const text =
      'models: [{ id: a, targets: [{ backend: scripted, model: x }] }]\nprices: { models: { a: { prompt: 1 }, b: { prompt: 2 } } }';
    expect(load({ text }).warnings).toEqual([
      'prices.models has "b", which is the id of no model: it prices nothing. Models: a.',
    ]);
  });

  it('warns of limits of a model and of a configured key that are not there', () => {
    const text = `
models: [{ id: a, targets: [{ backend: scripted, model: x }] }]
auth: { api_keys: [{ name: alice, key: secret-key-1 }] }
limits:
  models: { a: { requests_per_minute: 1 }, b: { requests_per_minute: 1 } }
  keys: { alice: { requests_per_minute: 1 }, alcie: { requests_per_minute: 1 } }
`;
    expect(load({ text }).warnings).toEqual([
      'limits.models has "b", which is the id of no model: it limits nothing. Models: a.',
      'limits.keys has "alcie", which is the name of no key of auth.api_keys: it limits nothing. Limits of keys of access.store are set with llm-serve keys change.',
    ]);
  });

  it('in the environment gives way to models given by flag', () => {
    const models = '[{"id":"from-flag","targets":[{"backend":"ollama","model":"x"}]}]';
    expect(load({ environment, flags: { models } }).config.default_model).toBe('from-flag');
  });

  it('is not affected by an empty variable', () => {
    expect(load({ environment }).config.models[0]?.targets[0]?.values).toMatchObject({
      model: 'from-environment',
      url: 'http://127.0.0.1:11434',
    });
    expect(
      load({ environment: { LLM_SERVE_URL: '', LLM_SERVE_SERVER__HOST: '' } }).config.default_model,
    ).toBe('smollm2');
  });
});

describe('a wrong configuration is refused with the key, the value and what was expected', () => {
  it.each([
    [{ text: 'server: { port: 70000 }' }, 'server.port is 70000, but must be an integer from 0 to 65535.'],
    [{ text: 'server: { prot: 1 }' }, 'server.prot is not known.'],
    [{ text: 'serverr: {}' }, 'serverr is not known.'],
    [{ text: '- a' }, 'llm-serve.yaml must contain keys and values'],
    [{ text: 'server: [' }, 'llm-serve.yaml is not valid YAML'],
    [{ flags: { 'server.port': 'abc' } }, 'server.port is "abc", but must be an integer from 0 to 65535.'],
    [
      { environment: { LLM_SERVE_RATE_LIMIT__ENABLED: 'maybe' } },
      'rate_limit.enabled is "maybe", but must be true or false.',
    ],
    [{ environment: { LLM_SERVE_MODELS: 'nope' } }, 'LLM_SERVE_MODELS (models) must be JSON'],
    [
      { text: 'scheduler: { mode: turbo }' },
      'scheduler.mode is "turbo", but must be one of "eager", "window".',
    ],
    [{ text: 'models: []' }, 'models is an empty list, but must be a list of at least 1 entry'],
    [
      { text: 'models: [{ id: a, targets: [{ backend: nope }] }]' },
      'models[0].targets[0].backend is "nope", but must be one of',
    ],
    [
      { text: 'models: [{ id: a, targets: [{ backend: ollama }] }]' },
      'models[0].targets[0].model is missing.',
    ],
    [
      { text: 'models: [{ id: a, targets: [{ backend: ollama, model: x, gpu: 1 }] }]' },
      'models[0].targets[0].gpu is not known.',
    ],
    [
      {
        text: 'models: [{ id: a, targets: [{ backend: llama-cpp, model: smollm2-135m-instruct, gpu: -1 }] }]',
      },
      'models[0].targets[0].gpu is -1, but must be one of "auto", "off" or an integer from 0 to 100000.',
    ],
    [
      {
        text: 'models: [{ id: a, targets: [{ backend: scripted, model: x }] }, { id: b, aliases: [c, a], targets: [{ backend: scripted, model: x }] }]',
      },
      'models[1].aliases[1] is "a", but an earlier model or alias has that name.',
    ],
    [
      {
        text: 'models: [{ id: a, targets: [{ backend: scripted, model: x, name: one }] }, { id: b, targets: [{ backend: scripted, model: x, name: one }] }]',
      },
      'models[1].targets[0].name is "one", but models[0].targets[0] has that name.',
    ],
    [
      {
        text: 'models: [{ id: a, targets: [{ backend: scripted, model: x, name: a/scripted/1 }, { backend: scripted, model: x }] }]',
      },
      'models[0].targets[0].name is "a/scripted/1", but models[0].targets[1] has that name.',
    ],
    [
      { text: 'models: [{ id: a, targets: [{ backend: scripted, model: x, name: "two words" }] }]' },
      'models[0].targets[0].name is "two words", but must be letters, digits and . _ : / -, beginning with a letter or digit.',
    ],
    [
      { text: 'models: [{ id: a, fallback_models: [b], targets: [{ backend: scripted, model: x }] }]' },
      'models[0].fallback_models[0] is "b", but must be the id of one of the models: a.',
    ],
    [
      { text: 'models: [{ id: a, fallback_models: [a], targets: [{ backend: scripted, model: x }] }]' },
      'models[0].fallback_models[0] is "a", but that is the model itself',
    ],
    [
      {
        text: 'models: [{ id: a, fallback_models: [b], targets: [{ backend: scripted, model: x }] }, { id: b, fallback_models: [c], targets: [{ backend: scripted, model: x }] }, { id: c, fallback_models: [b], targets: [{ backend: scripted, model: x }] }]',
      },
      'models[2].fallback_models[0] is "b", but that is a cycle: b → c → b. Remove one of them.',
    ],
    [
      {
        text: 'models: [{ id: chat, fallback_models: [vectors], targets: [{ backend: llama-cpp, model: smollm2-135m-instruct }] }, { id: vectors, targets: [{ backend: llama-cpp, model: nomic-embed-text-v1.5 }] }]',
      },
      'models[0].fallback_models[0] is "vectors", which makes embeddings, but "chat" generates text: it cannot answer instead.',
    ],
    [
      {
        text: 'models: [{ id: a, targets: [{ backend: scripted, model: x }] }, { id: b, aliases: ["a:latest"], targets: [{ backend: scripted, model: x }] }]',
      },
      'models[1].aliases[0] is "a:latest", which means the same as "a", a name of the model "a": the tag :latest may be left out.',
    ],
    [
      { text: 'models: [{ id: a, aliases: [a], targets: [{ backend: scripted, model: x }] }]' },
      'models[0].aliases[0] is "a", but an earlier model or alias has that name.',
    ],
    [
      {
        text: 'models: [{ id: a, targets: [{ backend: scripted, model: x }] }, { id: b, fallback_models: [a, a], targets: [{ backend: scripted, model: x }] }]',
      },
      'models[1].fallback_models[1] is "a", but an earlier entry names that model',
    ],
    ...['', '-one', ':'].map(
      (name) =>
        [
          { text: `models: [{ id: a, targets: [{ backend: scripted, model: x, name: "${name}" }] }]` },
          `models[0].targets[0].name is "${name}", but must be`,
        ] as const,
    ),
    [
      { text: 'models: [{ id: a, targets: [{ backend: scripted, model: x, weight: 0 }] }]' },
      'models[0].targets[0].weight is 0, but must be a number above 0',
    ],
    [
      { text: 'models: [{ id: a, targets: [{ backend: scripted, model: x, weight: .inf }] }]' },
      'models[0].targets[0].weight is Infinity, but must be a number above 0',
    ],
    [
      { text: 'models: [{ id: a, targets: [{ backend: scripted, model: x, role: spare }] }]' },
      'models[0].targets[0].role is "spare", but must be one of "primary", "fallback".',
    ],
    [{ text: 'default_model: b' }, 'default_model is "b", but must be one of the models: smollm2.'],
    [
      { flags: { 'server.trusted_proxies': '["everyone"]' } },
      'server.trusted_proxies[0] is "everyone", but must be an address',
    ],
    [
      { flags: { 'server.proxy_protocol': 'optional' } },
      'server.proxy_protocol is "optional", but server.trusted_proxies is empty.',
    ],
    [{ flags: { backend: 'ollama' } }, '--model is missing.'],
    [{ flags: { model: 'nope' } }, 'There is no model called "nope" in the catalogue.'],
    [{ text: 'auth: [my-secret-key]' }, 'auth is a list, but must be an object.'],
    [{ text: 'auth: { api_keys: my-secret-key }' }, 'auth.api_keys is (not shown), but must be a list'],
    [{ text: 'auth: { api_keys: [{ key: a-secret-key }] }' }, 'auth.api_keys[0].name is missing.'],
    [
      { text: 'auth: { api_keys: [{ name: a, key: short }] }' },
      'auth.api_keys[0].key is (not shown), but must be a string of at least 8 characters.',
    ],
    [
      { text: 'auth: { api_keys: [{ name: a, key: key-one-1 }, { name: a, key: key-two-2 }] }' },
      'auth.api_keys[1].name is "a", but auth.api_keys[0] has that name.',
    ],
    [
      {
        text: 'auth: { api_keys: [{ name: a, key: key-one-1 }], admin_keys: [{ name: a, key: key-two-2 }] }',
      },
      'auth.admin_keys[0].name is "a", but auth.api_keys[0] has that name.',
    ],
    [
      { text: 'auth: { api_keys: [key-one-1, { name: a, key: key-one-1 }] }' },
      'auth.api_keys[1] is the same key as auth.api_keys[0].',
    ],
    [{ text: 'models: { api_key: sk-secret }' }, 'models is an object, but must be a list'],
    [
      { text: 'models: [{ id: a, targets: { api_key: sk-secret } }]' },
      'models[0].targets is an object, but must be a list',
    ],
    [{ flags: { backend: 'nope' } }, '--backend is "nope", but must be one of'],
  ] as const)('%j', (sources, expected) => {
    expect(problem(sources)).toContain(expected);
  });

  it('without showing a secret', () => {
    expect(problem({ text: 'auth: { api_keys: ["short"] }' })).toBe(
      'auth.api_keys[0] is (not shown), but must be a string of at least 8 characters or an object with name and key.',
    );
  });
});
