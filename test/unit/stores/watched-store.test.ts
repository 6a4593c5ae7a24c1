import { describe, expect, test } from 'vitest';
import { MemoryStore } from '../../../src/stores/memory-store.ts';
import { type Store, StoreError } from '../../../src/stores/store.ts';
import { StoreHealth, watchedStore } from '../../../src/stores/watched-store.ts';
import { storeFamilies } from '../../../src/telemetry/store-metrics.ts';
import { plainKey, usageRow } from '../../support/stores/records.ts';

function withFullDisk(): Store {
  const memory = new MemoryStore();
  const full = async () => {
    throw new StoreError('full', 'no space is left.');
  };
  return { ...memory, usage: { ...memory.usage, add: full }, close: async () => {} };
}

const valuesOf = (health: StoreHealth) =>
  Object.fromEntries(
    storeFamilies(health).flatMap(({ name, samples }) =>
      samples().map(({ labels, value }) => [`${name} ${Object.values(labels)}`, value]),
    ),
  );

describe('how a store fares', () => {
  test('a store that fails writes alone is up for reads', async () => {
    const health = new StoreHealth();
    const store = watchedStore(withFullDisk(), health);
    await expect(store.usage.add([usageRow()], 'batch')).rejects.toMatchObject({ fault: 'full' });
    await store.keys.revision();
    expect(valuesOf(health)).toEqual({
      'llm_serve_store_up read': 1,
      'llm_serve_store_up write': 0,
      'llm_serve_store_failures_total full': 1,
    });
  });

  test('it is up again with the next call that succeeds', async () => {
    const health = new StoreHealth();
    const store = watchedStore(withFullDisk(), health);
    await expect(store.usage.add([usageRow()], 'batch')).rejects.toThrow();
    await store.keys.add(plainKey('alice'));
    expect(health.isUp('write')).toBe(true);
  });

  test('a name that is taken is no fault of the store', async () => {
    const health = new StoreHealth();
    const store = watchedStore(new MemoryStore(), health);
    await store.keys.add(plainKey('alice'));
    await expect(store.keys.add(plainKey('alice', { id: 'key_2', secrets: [] }))).rejects.toMatchObject({
      fault: 'name_taken',
    });
    expect(health.isUp('write')).toBe(true);
    expect(health.failures.size).toBe(0);
  });
});
