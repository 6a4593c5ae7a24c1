import { expect, it } from 'vitest';
import { downloadReporter } from '../../../src/cli/download-progress.ts';
import { silentLog } from '../../../src/core/log.ts';

function reports(isTTY: boolean, columns = 100) {
  const written: string[] = [];
  const logged: string[] = [];
  const terminal = {
    isTTY,
    columns,
    write: (text: string) => written.push(text),
  } as unknown as NodeJS.WriteStream;
  const log = { ...silentLog, info: (message: string) => void logged.push(message) };
  return { written, logged, report: downloadReporter({ log, terminal }) };
}

it('draws a bar on a terminal, once per percent, and ends its line', () => {
  const { written, report } = reports(true);
  for (const doneBytes of [0, 5_000_000, 5_000_001, 10_000_000])
    report({ label: 'tiny', doneBytes, totalBytes: 10_000_000 });
  expect(written).toHaveLength(3);
  expect(written[1]).toBe(`\r\u001b[Ktiny ${'█'.repeat(15)}${'░'.repeat(15)} 50 % (5.0 of 10.0 MB)`);
  expect(written[2]).toMatch(/100 % \(10\.0 of 10\.0 MB\)\n$/);
});

it('drops the bar, then the end of the line, on a terminal that is too narrow: a wrapped line would stay', () => {
  const narrow = reports(true, 40);
  narrow.report({ label: 'tiny-model', doneBytes: 5_000_000, totalBytes: 10_000_000 });
  expect(narrow.written).toEqual(['\r\u001b[Ktiny-model (5.0 of 10.0 MB)']);
  const narrower = reports(true, 20);
  narrower.report({ label: 'tiny-model', doneBytes: 5_000_000, totalBytes: 10_000_000 });
  expect(narrower.written).toEqual(['\r\u001b[Ktiny-model (5.0 of…']);
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
  expect(written).toEqual([0, 10, 20].map((done) => `\r\u001b[Ktiny (${done}.0 of ? MB)`));
});
