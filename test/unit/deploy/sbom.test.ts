import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { readText, root } from './deployment-files.ts';

interface Bill {
  readonly bomFormat: string;
  readonly metadata: { readonly component: { readonly name: string; readonly type: string } };
  readonly components: readonly { readonly name: string; readonly version: string; readonly purl: string }[];
}

function billOf(...flags: string[]): { readonly text: string; readonly bill: Bill } {
  const text = execFileSync(process.execPath, ['scripts/sbom.mjs', ...flags], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return { text, bill: JSON.parse(text) as Bill };
}

it('the bill of materials lists what is shipped, from the lock file, and names no registry and no folder', {
  timeout: 120_000,
}, () => {
  const { text, bill } = billOf();
  const { version } = (
    JSON.parse(readText('package-lock.json')) as { packages: Record<string, { version: string }> }
  ).packages['node_modules/undici'] ?? { version: '' };
  expect(bill.bomFormat).toBe('CycloneDX');
  expect(bill.metadata.component).toMatchObject({ name: 'llm-serving-api', type: 'application' });
  expect(bill.components).toContainEqual(
    expect.objectContaining({ name: 'undici', version, purl: `pkg:npm/undici@${version}` }),
  );
  const names = bill.components.map(({ name }) => name);
  expect(names).toContain('node-llama-cpp');
  expect(names, 'its files are copied into dist/').toContain('swagger-ui-dist');
  expect(names, 'the page in dist/ contains it').toContain('preact');
  expect(names).not.toContain('vitest');
  const addresses = text.match(/https?:\/\/[^"/]+/g) ?? [];
  expect(addresses.filter((address) => address !== 'http://cyclonedx.org')).toEqual([]);
  expect(text).not.toContain(root.replace(/\/$/, ''));
});

it('without the embedded engine it lists none of it', { timeout: 120_000 }, () => {
  const names = billOf('--omit=optional').bill.components.map(({ name }) => name);
  expect(names).toContain('undici');
  expect(names).not.toContain('node-llama-cpp');
});
