import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Heap, type HeapNode, heapNode } from '../../../src/scheduling/heap.ts';
import { runs } from '../../support/property-runs.ts';

const change = fc.record({
  kind: fc.constantFrom('put', 'put', 'move', 'remove'),
  key: fc.integer({ min: 0, max: 20 }),
  pick: fc.nat(),
});

it('the first is always the least, and what comes before a node is what is visited', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 100 }), (changes) => {
      const heap = new Heap<number>();
      const nodes: HeapNode<number>[] = [];
      for (const [order, { kind, key, pick }] of changes.entries()) {
        const chosen = nodes[pick % Math.max(1, nodes.length)];
        if (kind === 'put') {
          const node = heapNode(order);
          heap.put(node, key, order);
          nodes.push(node);
        } else if (chosen && kind === 'move') heap.put(chosen, key, order);
        else if (chosen) {
          heap.remove(chosen);
          nodes.splice(nodes.indexOf(chosen), 1);
          expect(chosen.index).toBe(-1);
        }
        const inOrder = [...nodes].sort((a, b) => a.key - b.key || a.order - b.order);
        expect(heap.size).toBe(nodes.length);
        expect(heap.first).toBe(inOrder[0]?.value);
        if (!chosen || chosen.index === -1) continue;
        const before: number[] = [];
        heap.forEachBefore(chosen, (value) => before.push(value));
        const expected = inOrder.slice(0, inOrder.indexOf(chosen)).map(({ value }) => value);
        expect(before.sort((a, b) => a - b)).toEqual(expected.sort((a, b) => a - b));
      }
    }),
    runs(100),
  );
});
