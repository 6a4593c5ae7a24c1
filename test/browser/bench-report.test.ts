/** The page that `llm-serve bench --html` writes, opened as a file: it needs no server, in both colour schemes, on a phone, on paper. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { describe, expect, onTestFinished, type TestContext, test } from 'vitest';
import { htmlReport } from '../../src/bench/report-html.ts';
import { FIXED_ORIGIN, fixedRun } from '../support/bench/fixed-run.ts';
import { openPage, type PageOptions } from '../support/browser.ts';

/** A request to any server, and a script that is refused, fail the test: the harness sees to that. */
function openReport(context: TestContext, options: PageOptions = {}): Promise<Page> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-bench-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'run.html');
  const run = { ...fixedRun(), model: 'a/very-long-name-of-a-model-that-somebody-has-quantized-Q4_K_M.gguf' };
  writeFileSync(file, htmlReport(run, FIXED_ORIGIN));
  return openPage(context, pathToFileURL(file).href, options);
}

/** Red, green and blue, of 255. */
function colourOf(page: Page, property: 'color' | 'background-color'): Promise<number[]> {
  return page
    .locator('body')
    .evaluate((body, name) => getComputedStyle(body).getPropertyValue(name), property)
    .then((value) => (value.match(/\d+/g) ?? []).slice(0, 3).map(Number));
}

const isDark = (colour: readonly number[]) => colour.every((part) => part < 64);
const isLight = (colour: readonly number[]) => colour.every((part) => part > 192);

describe.each(['light', 'dark'] as const)('the report in the %s scheme', (colorScheme) => {
  test('has its colours, and axe finds nothing, on a screen and on a phone', async (context) => {
    for (const isPhone of [false, true]) {
      const page = await openReport(context, { colorScheme, isPhone });
      const [background, text] = [await colourOf(page, 'background-color'), await colourOf(page, 'color')];
      expect([isDark(background), isLight(text)]).toEqual(Array(2).fill(colorScheme === 'dark'));
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate<axe.AxeResults>('axe.run()');
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ target }) => target)])).toEqual([]);
    }
  });
});

test('the report is as wide as a phone; what is wider scrolls in itself', async (context) => {
  const page = await openReport(context, { isPhone: true });
  const [inner, whole] = await page.evaluate(() => [window.innerWidth, document.documentElement.scrollWidth]);
  expect(whole).toBeLessThanOrEqual(inner ?? 0);
});

test('the charts of the report keep their words within them', async (context) => {
  const page = await openReport(context);
  const charts = page.locator('figure svg');
  expect(await charts.count()).toBe(7);
  const outside = await charts.evaluateAll((pictures) =>
    pictures.flatMap((picture) => {
      const frame = picture.getBoundingClientRect();
      return [...picture.querySelectorAll('text')].flatMap((word) => {
        const box = word.getBoundingClientRect();
        const fits =
          box.left >= frame.left &&
          box.right <= frame.right &&
          box.top >= frame.top &&
          box.bottom <= frame.bottom;
        return fits ? [] : [word.textContent];
      });
    }),
  );
  expect(outside).toEqual([]);
});

test('the report is light on paper, whatever the scheme', async (context) => {
  const page = await openReport(context, { colorScheme: 'dark' });
  await page.emulateMedia({ media: 'print' });
  expect(isLight(await colourOf(page, 'background-color'))).toBe(true);
  expect(isDark(await colourOf(page, 'color'))).toBe(true);
});
