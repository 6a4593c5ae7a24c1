import { expect, test } from 'vitest';
import { auditLine } from '../../../src/cli/audit.ts';

const ENTRY = {
  at: Date.UTC(2027, 0, 31, 12),
  actor: 'ops',
  address: '10.1.2.3',
  action: 'key.create',
  subject: 'key_1',
  details: { name: 'alice' },
};

test('an entry of the audit log is a line', () => {
  expect(auditLine(ENTRY)).toBe(
    '2027-01-31T12:00:00.000Z ops at 10.1.2.3: key.create key_1 {"name":"alice"}',
  );
});

test('what of it can’t be read is said behind what can', () => {
  expect(auditLine({ ...ENTRY, address: '', details: {}, damage: 'details' })).toBe(
    '2027-01-31T12:00:00.000Z ops: key.create key_1 (details can’t be read)',
  );
});
