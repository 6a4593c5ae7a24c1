import { expect, it } from 'vitest';
import { parseValkeyAddress } from '../../../src/stores/valkey/address.ts';
import { configureImage, readCompose } from './deployment-files.ts';

const overlay = readCompose('compose.valkey.yaml');

it('gives the API of the other compose files a store that is there', () => {
  for (const path of ['compose.yaml', 'compose.vllm.yaml']) {
    const { api } = readCompose(path).services;
    const config = configureImage({ ...api.environment, ...overlay.services.api.environment });
    for (const { store } of [config.limits, config.leases]) {
      const address = parseValkeyAddress(store);
      expect(address).toMatchObject({ kind: 'server', endpoint: { host: 'valkey', port: 6379 } });
    }
  }
  expect(Object.keys(overlay.services)).toEqual(['api', 'valkey']);
  expect(overlay.services.valkey.ports).toBeUndefined();
});

it('evicts no counter, and keeps them over a restart', () => {
  const command = overlay.services.valkey.command.join(' ');
  expect(command).toContain('--maxmemory-policy noeviction');
  expect(command).toContain('--appendonly yes');
  expect(overlay.services.valkey.volumes).toEqual(['valkey:/data']);
});
