/**
 * A real Chromium for tests of the pages: found on this machine, never downloaded; one for each worker, which ends with it. Each test has
 * a page with an empty profile. A test fails on any error in the page's console, on a violation of its content security policy, and
 * on a request that leaves for another server.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core';
import { expect, type TestContext } from 'vitest';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];

/** Undefined: there is none. */
function findChromium(): string | undefined {
  const named = process.env.LLM_TEST_CHROMIUM;
  if (named) return named;
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const executable = findChromium();

/** Why pages cannot be tried on this machine. */
function missingChromium(): string | undefined {
  if (executable === undefined) return 'there is no Chromium on the path; LLM_TEST_CHROMIUM may name one';
  const { error } = spawnSync(executable, ['--version'], { stdio: 'ignore', timeout: 60_000 });
  return error === undefined ? undefined : `Chromium does not run: ${error.message}`;
}

export const OTHER_MACHINE = 'lan.test';

let missing: { readonly reason: string | undefined } | undefined;
let browser: Promise<Browser> | undefined;

/** Starts it with the first test that needs it. Playwright ends it, and removes its profile, when the worker's process ends. */
function theBrowser(executablePath: string): Promise<Browser> {
  browser ??= chromium.launch({
    executablePath,
    headless: true,
    // Root may not have the sandbox.
    chromiumSandbox: process.getuid?.() !== 0,
    args: [
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--force-color-profile=srgb',
      '--font-render-hinting=none',
      // A name that is not this machine's own: pages from there have no secure context.
      `--host-resolver-rules=MAP ${OTHER_MACHINE} 127.0.0.1`,
    ],
  });
  return browser;
}

export interface PageOptions
  extends Pick<BrowserContextOptions, 'colorScheme' | 'reducedMotion' | 'viewport'> {
  /** Errors of the console that the test brings about. */
  readonly expects?: readonly RegExp[];
  /** Takes what would have failed the test. */
  readonly collects?: string[];
  readonly isPhone?: boolean;
  /** A script that runs in the page before its own. */
  readonly before?: string;
  /** The test moves the page's clock, with `page.clock`; it runs on meanwhile. */
  readonly hasClock?: boolean;
}

const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

/** Opens `url` for one test, which is skipped where there is no Chromium. */
export async function openPage(test: TestContext, url: string, options: PageOptions = {}): Promise<Page> {
  missing ??= { reason: missingChromium() };
  if (executable === undefined || missing.reason !== undefined) test.skip(missing.reason);
  const started = await theBrowser(executable ?? '');
  const { expects = [], collects, isPhone = false, hasClock = false, before, ...rest } = options;
  const context = await started.newContext({
    ...(isPhone ? PHONE : { viewport: { width: 1280, height: 800 } }),
    ...rest,
    acceptDownloads: true,
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  // The test's own limit ends what waits in vain, on a slow machine too.
  context.setDefaultTimeout(150_000);
  const problems = collects ?? [];
  await watch(context, new URL(url).origin, problems);
  test.onTestFinished(async () => {
    await context.close();
    if (collects !== undefined) return;
    expect(problems.filter((problem) => !expects.some((expected) => expected.test(problem)))).toEqual([]);
  });
  if (before !== undefined) await context.addInitScript({ content: before });
  const page = await context.newPage();
  if (hasClock) await page.clock.install();
  await page.goto(url);
  return page;
}

/** What the pages of a context do that they must not, as it happens. */
async function watch(context: BrowserContext, origin: string, problems: string[]): Promise<void> {
  // A violation is an error in the console too, but not in every case.
  await context.exposeFunction('reportViolation', (text: string) => {
    problems.push(`content security policy: ${text}`);
  });
  await context.addInitScript({
    content: `document.addEventListener('securitypolicyviolation', (event) =>
      reportViolation([event.effectiveDirective, event.blockedURI, event.sourceFile, event.lineNumber].join(' ')))`,
  });
  context.on('console', (message) => {
    if (message.type() === 'error') problems.push(`console: ${message.text()} (${message.location().url})`);
  });
  context.on('weberror', (error) => {
    problems.push(`uncaught: ${error.error().stack ?? error.error().message}`);
  });
  await context.route(
    (requested) => /^(https?|wss?):$/.test(requested.protocol) && requested.origin !== origin,
    (route) => {
      problems.push(`request to another server: ${route.request().url()}`);
      return route.abort();
    },
  );
}
