// `npm run screenshots`: the pictures of the pages in docs/images, from the built executable in front of scripted targets, with load of its
// own. Needs Chromium, as test/browser does. Look at them before they are committed.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { animatedWebp } from './animated-webp.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const images = join(root, 'docs', 'images');
const LOAD_MS = 24_000;
/** For a step of a page, on a machine that is busy. */
const PATIENCE_MS = 120_000;
const ANIMATION = { fromMs: 8_000, frames: 72, stepMs: 100 };
const SCREENS = {
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 800 } },
  light: { colorScheme: 'light', viewport: { width: 1280, height: 800 } },
  phone: {
    ...{ colorScheme: 'dark', viewport: { width: 390, height: 844 } },
    ...{ deviceScaleFactor: 2, isMobile: true, hasTouch: true },
  },
};
const ANSWER = [
  'A queue in front of a model does three things:',
  '',
  '1. It keeps **every slot busy**, and no more than the slots.',
  '2. It is *fair*: clients share the slots by tokens.',
  '3. It says **no early** when an answer would come too late.',
  '',
  '```ts',
  "const answer = await fetch('/generate', {",
  "  method: 'POST',",
  "  headers: { 'content-type': 'application/json' },",
  "  body: JSON.stringify({ prompt: 'Why queue?' }),",
  '});',
  '```',
].join('\n');

const MODELS = [
  {
    id: 'demo',
    targets: [
      { backend: 'scripted', model: 'demo', slots: 6 },
      { backend: 'scripted', model: 'demo', slots: 4 },
    ],
  },
];

const ends = [];
try {
  const url = await startServer();
  const browser = await chromium.launch({
    executablePath: process.env.LLM_TEST_CHROMIUM ?? '/usr/bin/chromium',
    chromiumSandbox: process.getuid?.() !== 0,
    args: ['--disable-gpu', '--force-color-profile=srgb'],
  });
  ends.push(() => browser.close());
  const shown = process.argv[2];
  if (shown !== 'live') await takeChat(browser, url);
  if (shown !== 'chat') await takeLive(browser, url);
} finally {
  for (const end of ends.reverse()) await end();
}

async function startServer() {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-screenshots-'));
  const server = spawn(
    process.execPath,
    [
      join(root, 'dist/cli/main.js'),
      '--port',
      '0',
      '--models',
      JSON.stringify(MODELS),
      '--rate-limit.enabled',
      'false',
    ],
    {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, LLM_SERVE_OBJECTIVES__TTFT_MS: '1500' },
    },
  );
  ends.push(async () => {
    server.kill();
    await new Promise((resolve) => server.once('close', resolve));
    rmSync(folder, { recursive: true });
  });
  return new Promise((resolve, reject) => {
    let text = '';
    server.stdout.setEncoding('utf8').on('data', (piece) => {
      text += piece;
      const url = /listens on (http:[^"]+)/.exec(text)?.[1];
      if (url !== undefined) resolve(url);
    });
    server.once('close', () => reject(new Error(`the server ended: ${text}`)));
  });
}

async function takeChat(browser, url) {
  for (const [name, screen] of Object.entries(SCREENS)) {
    const context = await browser.newContext(screen);
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    await page.goto(`${url}/#/chat`);
    const script = {
      text: ANSWER,
      first_token_delay_ms: 180,
      token_delay_ms: 12,
      reasoning: 'The person asks why.',
    };
    // What is asked is shown; what is sent has the script of the answer before it.
    await context.route('**/v1/chat/completions', async (route) => {
      const body = route.request().postDataJSON();
      const last = body.messages.at(-1);
      last.content = `${JSON.stringify({ script })}\n${last.content}`;
      await route.continue({ postData: JSON.stringify(body) });
    });
    await page.waitForFunction(() => document.querySelector('.model-picker select')?.value);
    await page
      .getByLabel('Message', { exact: true })
      .fill('Why would I put a queue in front of a language model?');
    await page.keyboard.press('Enter');
    await page.getByText('tokens/s').first().waitFor();
    await save(page, `chat-${name}`);
    await context.close();
  }
}

async function takeLive(browser, url) {
  const pages = [];
  for (const [name, screen] of Object.entries(SCREENS)) {
    pages.push([name, await openLive(browser, url, screen)]);
  }
  const narrow = await openLive(browser, url, { colorScheme: 'dark', viewport: { width: 880, height: 700 } });
  const stop = startLoad(url);
  await pause(LOAD_MS);
  for (const [, page] of pages) await page.getByRole('button', { name: 'Pause' }).click();
  await narrow.getByRole('button', { name: 'Pause' }).click();
  await stop();
  for (const [name, page] of pages) {
    if (name === 'light') await page.locator('[aria-labelledby="live-ended"] tbody button').first().click();
    await page.mouse.move(0, 0);
    await pause(300);
    await save(page, `live-${name}`);
  }
  await takeAnimation(narrow);
}

async function openLive(browser, url, screen) {
  const context = await browser.newContext(screen);
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  await page.goto(`${url}/#/live`);
  await page.locator('.live-picture').waitFor();
  return page;
}

/** The lanes move through what the page has seen. */
async function takeAnimation(page) {
  const picture = page.locator('.live-picture');
  const slider = page.getByRole('slider');
  const frames = [];
  for (let frame = 0; frame < ANIMATION.frames; frame += 1) {
    await slider.fill(String(-ANIMATION.fromMs + frame * ANIMATION.stepMs));
    await page.evaluate(
      'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 40))))',
    );
    const png = await picture.screenshot();
    frames.push(await asWebp(page, png));
  }
  const file = join(images, 'live.webp');
  writeFileSync(file, animatedWebp(frames, ANIMATION.stepMs));
  said(file);
}

/** By the browser's own encoder. */
async function asWebp(page, png) {
  const text = await page.evaluate(async (data) => {
    const image = new Image();
    image.src = `data:image/png;base64,${data}`;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    canvas.getContext('2d').drawImage(image, 0, 0);
    return canvas.toDataURL('image/webp', 0.72);
  }, png.toString('base64'));
  return Buffer.from(text.slice(text.indexOf(',') + 1), 'base64');
}

/** Bursts and single requests; some fail at a target, some clients leave. Returns how to end it. */
function startLoad(url) {
  let seed = 7;
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
  const open = new Set();
  const one = async () => {
    const luck = random();
    const script = {
      tokens: 10 + Math.floor(random() * 60),
      first_token_delay_ms: 150 + Math.floor(random() * 450),
      token_delay_ms: 35 + Math.floor(random() * 25),
      ...(luck < 0.03 && { fail: 'error' }),
    };
    const leaving = new AbortController();
    open.add(leaving);
    if (luck > 0.94) setTimeout(() => leaving.abort(), 500 + random() * 1_500);
    try {
      const answer = await fetch(`${url}/stream`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        signal: leaving.signal,
        body: JSON.stringify({
          prompt: `${JSON.stringify({ script })}\n${'one two three '.repeat(20)}`,
          max_tokens: 200,
        }),
      });
      await answer.text();
    } catch {
      // It left, or was rejected: both are part of the picture.
    }
    open.delete(leaving);
  };
  const timer = setInterval(() => {
    const luck = random();
    const count = luck < 0.05 ? 9 : luck < 0.34 ? 1 : 0;
    for (let each = 0; each < count; each += 1) void one();
  }, 150);
  return async () => {
    clearInterval(timer);
    for (const leaving of open) leaving.abort();
  };
}

async function save(page, name) {
  const file = join(images, `${name}.png`);
  await page.screenshot({ path: file });
  said(file);
}

function said(file) {
  process.stdout.write(`${file.slice(root.length)} ${statSync(file).size} bytes\n`);
}
