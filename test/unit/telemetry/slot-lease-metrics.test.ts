import { expect, it } from 'vitest';
import { SlotLeaseMetrics } from '../../../src/telemetry/slot-lease-metrics.ts';

function overAdmissions({ families }: SlotLeaseMetrics): readonly unknown[] {
  const family = families.find(({ name }) => name === 'llm_serve_slot_lease_over_admissions_total');
  return (family?.samples() ?? []).map(({ labels, value }) => [labels.basis, value]);
}

it('shows over-admissions as 0 from the first renewal, so that an alert sees the first one as a rise', () => {
  const metrics = new SlotLeaseMetrics(() => undefined);
  expect(overAdmissions(metrics)).toEqual([]);
  metrics.renewed(1);
  expect(overAdmissions(metrics)).toEqual([
    ['lease', 0],
    ['even_share', 0],
    ['none', 0],
  ]);
  metrics.granted('none', false);
  metrics.failed('slow');
  expect(overAdmissions(metrics)).toContainEqual(['none', 1]);
});
