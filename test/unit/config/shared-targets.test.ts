import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { sharedNameOf } from '../../../src/config/shared-targets.ts';

const STORE = 'valkey://:planted@valkey:6379';

function loaded(targets: readonly object[], store = STORE) {
  const models = targets.map((target) => ({
    backend: 'vllm',
    url: 'http://vllm:8000',
    model: 'm',
    ...target,
  }));
  const text = JSON.stringify({ models: [{ id: 'm', targets: models }], leases: { store } });
  return loadConfig({ flags: {}, environment: {}, file: { name: 'llm-serve.yaml', text } }).config;
}

const namesOf = (targets: readonly object[]) =>
  loaded(targets).models.flatMap(({ id, targets }) => targets.map((target) => sharedNameOf(id, target)));

describe('the name by which servers know a shared target', () => {
  it('is that of its model and address, whatever else it is called', () => {
    expect(namesOf([{ name: 'first' }])).toEqual(['m: m at http://vllm:8000']);
    expect(namesOf([{ name: 'another', slots: 3 }])).toEqual(['m: m at http://vllm:8000']);
  });

  it('is none for the target that each server has of its own', () => {
    expect(namesOf([{ shared: false }])).toEqual([undefined]);
  });

  it('tells the data-parallel ranks of one server apart: each has slots of its own', () => {
    const names = namesOf([
      { name: 'rank-0', data_parallel_rank: 0 },
      { name: 'rank-1', data_parallel_rank: 1 },
    ]);
    expect(names).toEqual(['m: m at http://vllm:8000 rank 0', 'm: m at http://vllm:8000 rank 1']);
  });
});

describe('two targets that are one', () => {
  const twice = [{ name: 'first' }, { name: 'second' }];

  it('are refused where their slots are leased, and the refusal says what to do', () => {
    expect(() => loaded(twice)).toThrow(/Make one target of them/);
    expect(() => loaded([{ data_parallel_rank: 1 }, { data_parallel_rank: 1 }])).toThrow(/Make one target/);
  });

  it('are left alone where they are not, or where one is not shared', () => {
    expect(() => loaded(twice, 'memory:')).not.toThrow();
    expect(() => loaded([{ name: 'first' }, { name: 'second', shared: false }])).not.toThrow();
  });
});
