/** A configuration as rows. */
import { expect, test } from 'vitest';
import { settingRows } from '../../../../web/admin/settings-rows.ts';

test('each setting is a row with its path; lists of plain values are one, secrets have no value', () => {
  const rows = settingRows({
    sources: {},
    needs_restart: [],
    configuration: {
      scheduler: { max_queue: 256 },
      models: [{ id: 'small', targets: [{ url: 'http://gpu-1:8000', api_key: '(secret)' }] }],
      auth: { api_keys: ['(secret)', '(secret)'], admin_keys: [] },
      server: { cors_origins: ['http://a.test', 'http://b.test'], host: null },
      aliases: {},
    },
  });
  expect(rows.map(({ path, value }) => `${path} = ${value}`)).toEqual([
    'scheduler.max_queue = 256',
    'models[0].id = small',
    'models[0].targets[0].url = http://gpu-1:8000',
    'models[0].targets[0].api_key = (secret)',
    'auth.api_keys = [(secret), (secret)]',
    'auth.admin_keys = []',
    'server.cors_origins = [http://a.test, http://b.test]',
    'server.host = null',
    'aliases = {}',
  ]);
  expect(rows.filter(({ isSecret }) => isSecret).map(({ path }) => path)).toEqual([
    'models[0].targets[0].api_key',
    'auth.api_keys',
  ]);
});

test('a row says where its value comes from, and whether a reload changes it, by the nearest key that is known', () => {
  const rows = settingRows({
    configuration: { server: { port: 8000, host: '::1' }, models: [{ id: 'small' }] },
    sources: { 'server.port': 'flag', models: 'file' },
    needs_restart: ['server.port', 'server.host'],
  });
  expect(rows.map(({ path, source, needsRestart }) => [path, source, needsRestart])).toEqual([
    ['server.port', 'flag', true],
    ['server.host', 'default', true],
    ['models[0].id', 'file', false],
  ]);
});
