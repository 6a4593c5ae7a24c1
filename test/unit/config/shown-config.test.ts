import { expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { shownConfig } from '../../../src/config/shown-config.ts';

const TEXT = `
auth:
  api_keys: [planted-api-key]
  admin_keys: [planted-admin-key]
access: { store: "postgres://serve:planted@p@db.example:5432/serve?sslkey=planted" }
limits: { store: "valkey+sentinel://:planted@one:26379,two:26379/main" }
leases: { store: "valkey://:planted@three:6379" }
tracing:
  endpoint: http://collector:4318
  headers: { x-key: planted-header }
cache: { hub_url: "https://user:planted@mirror.example" }
models:
  - id: big
    fallback_models: [small]
    targets: [{ backend: vllm, url: "http://gpu:8000/v1", model: big, api_key: planted-upstream }]
  - { id: small, targets: [{ backend: scripted, model: small }] }
`;

const { config } = loadConfig({ flags: {}, environment: {}, file: { name: 'llm-serve.yaml', text: TEXT } });

it('no secret of the configuration is shown, wherever it stands', () => {
  expect(JSON.stringify(shownConfig(config))).not.toContain('planted');
});

it('what is around a secret stays: hosts, names of headers, how many keys there are', () => {
  expect(shownConfig(config)).toMatchObject({
    auth: { api_keys: ['(secret)'], admin_keys: ['(secret)'] },
    access: { store: 'postgres://(secret)@db.example:5432/serve?(secret)' },
    limits: { store: 'valkey+sentinel://(secret)@one:26379,two:26379/main' },
    leases: { store: 'valkey://(secret)@three:6379' },
    tracing: { headers: { 'x-key': '(secret)' } },
    cache: { hub_url: 'https://(secret)@mirror.example' },
    models: [
      {
        id: 'big',
        fallback_models: ['small'],
        targets: [
          {
            backend: 'openai-compatible',
            url: 'http://gpu:8000/v1',
            api_key: '(secret)',
            slots: 64,
          },
        ],
      },
      { id: 'small' },
    ],
  });
});

it('the path of a SQLite file is no secret', () => {
  const { config: other } = loadConfig({ flags: { 'access.store': 'sqlite:/data/x.db' }, environment: {} });
  expect(shownConfig(other)).toMatchObject({ access: { store: 'sqlite:/data/x.db' } });
});
