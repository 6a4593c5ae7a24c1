import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const { LINES, newest } = (await import(`${root}scripts/nodes.mjs`)) as {
  readonly LINES: readonly string[];
  readonly newest: (versions: readonly string[], line: string) => string | undefined;
};

it('the newest version of a line is found by its numbers', () => {
  const versions = ['20.19.6', '20.2.0', '20.190.0', '24.9.0', '24.21.0', '24.3.1', '24.22.0-rc.1', '2.4.0'];
  expect(newest(versions, '20.19')).toBe('20.19.6');
  expect(newest(versions, '24')).toBe('24.21.0');
  expect(newest(versions, '24.9.0')).toBe('24.9.0');
  expect(newest(versions, '26')).toBeUndefined();
});

it('the oldest Node that is tried is the one that package.json promises, and the images run on one that is tried', () => {
  const { engines } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
  expect(engines.node).toBe(`>=${LINES[0]}`);
  const image = /^FROM node:(\d+)-slim/m.exec(readFileSync(`${root}Dockerfile`, 'utf8'))?.[1];
  expect(LINES).toContain(image);
});
