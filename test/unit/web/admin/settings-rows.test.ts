/** A configuration as rows. */
import { expect, test } from 'vitest';
import { settingRows } from '../../../../web/admin/settings-rows.ts';

test('each setting is a row with its path; lists of plain values are one, secrets have no value', () => {
  const rows = settingRows({
    scheduler: { max_queue: 256 },
    models: [{ id: 'small', targets: [{ url: 'http://gpu-1:8000', api_key: '(secret)' }] }],
    auth: { api_keys: ['(secret)', '(secret)'], admin_keys: [] },
    server: { cors_origins: ['http://a.test', 'http://b.test'], host: null },
    aliases: {},
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
