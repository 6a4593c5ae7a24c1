import { expect, it } from 'vitest';
import { Circuit } from '../../../../src/stores/valkey/circuit.ts';

it('asks nothing before the first success, and nothing after a failure until the next', () => {
  const circuit = new Circuit();
  expect(circuit.isUp).toBe(false);
  circuit.succeeded();
  expect(circuit.isUp).toBe(true);
  circuit.failed(0);
  expect(circuit.isUp).toBe(false);
});

it('probes at growing distances, of up to a second, and soon again after a success', () => {
  const circuit = new Circuit();
  const distances = Array.from({ length: 6 }, () => circuit.failed(1));
  expect(distances).toEqual([100, 200, 400, 800, 1000, 1000]);
  circuit.succeeded();
  expect(circuit.failed(1)).toBe(100);
});

it('draws the distances, so that replicas do not all probe in the same moment', () => {
  expect([0, 0.5, 1].map((chance) => new Circuit().failed(chance))).toEqual([50, 75, 100]);
});
