import { expect, it } from 'vitest';
import { isSameAccess } from '../../../src/http/access.ts';
import type { EdgeSettings } from '../../../src/http/settings.ts';

const SETTINGS = {
  apiKeys: [{ name: 'a', key: 'a' }],
  adminKeys: [],
  trustedProxies: [],
  corsOrigins: ['https://app.example'],
  onLoopback: true,
} as unknown as EdgeSettings;

it.each<Partial<EdgeSettings>>([
  { apiKeys: [] },
  { adminKeys: [{ name: 'b', key: 'b' }] },
  { corsOrigins: [] },
])('a reload to %j changes who may call', (changed) => {
  expect(isSameAccess(SETTINGS, { ...SETTINGS })).toBe(true);
  expect(isSameAccess(SETTINGS, { ...SETTINGS, ...changed })).toBe(false);
});
