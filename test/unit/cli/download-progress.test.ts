import { expect, it } from 'vitest';
import { downloadReporter } from '../../../src/cli/download-progress.ts';
import { silentLog } from '../../../src/core/log.ts';

function reports(isTTY: boolean) {
  const written: string[] = [];
  const logged: string[] = [];
  const terminal = { isTTY, write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream;
  const log = { ...silentLog, info: (message: string) => void logged.push(message) };
  return { written, logged, report: downloadReporter({ log, terminal }) };
}

it('draws a bar on a terminal, once per percent, and ends its line', () => {
  const { written, report } = reports(true);
  for (const doneBytes of [0, 5_000_000, 5_000_001, 10_000_000])
    report({ label: 'tiny', doneBytes, totalBytes: 10_000_000 });
  expect(written).toHaveLength(3);
  expect(written[1]).toBe(`\rtiny ${'█'.repeat(15)}${'░'.repeat(15)} 50 % (5.0 of 10.0 MB)\u001b[K`);
  expect(written[2]).toMatch(/100 % \(10\.0 of 10\.0 MB\)\n$/);
});

it('logs every tenth elsewhere', () => {
  const { logged, report } = reports(false);
  for (let doneBytes = 0; doneBytes <= 100; doneBytes += 1)
    report({ label: 'tiny', doneBytes, totalBytes: 100 });
  expect(logged).toHaveLength(11);
  expect(logged[3]).toBe('Downloading tiny: 0.0 of 0.0 MB');
});

it('counts megabytes where nobody knows how many there will be', () => {
  const { written, report } = reports(true);
  for (let doneBytes = 0; doneBytes < 30_000_000; doneBytes += 1_000_000)
    report({ label: 'tiny', doneBytes, totalBytes: 0 });
  expect(written).toEqual([0, 10, 20].map((done) => `\rtiny (${done}.0 of ? MB)\u001b[K`));
});
