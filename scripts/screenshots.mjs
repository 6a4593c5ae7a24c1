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
/** For a step of a page, on a machine that is busy. */
const PATIENCE_MS = 120_000;
/** Plays at twice the speed of what it shows. */
const ANIMATION = { frames: 66, stepMs: 220, shownMs: 110, quality: 0.5, maxBytes: 1_200_000 };
const SCREENS = {
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 800 } },
  light: { colorScheme: 'light', viewport: { width: 1280, height: 800 } },
  phone: {
    ...{ colorScheme: 'dark', viewport: { width: 390, height: 844 } },
    ...{ deviceScaleFactor: 2, isMobile: true, hasTouch: true },
  },
};
const ANIMATION_SCREEN = { colorScheme: 'dark', viewport: { width: 760, height: 700 } };

const CONVERSATION = [
  {
    question: 'Why would I put a queue in front of a language model?',
    answer: [
      'Because a model serves only so many requests at once. A queue in front of it',
      '',
      '1. keeps **every slot busy**, and never more than the slots,',
      '2. shares them *fairly*, so that one client cannot take them all,',
      '3. says **no early** when an answer would come too late.',
    ].join('\n'),
  },
  {
    question: 'How do I see in my program how long a request waited?',
    answer: [
      'Each answer has its `timings`. `queue_ms` is the wait:',
      '',
      '```ts',
      "const answer = await fetch('http://localhost:8000/generate', {",
      "  method: 'POST',",
      "  headers: { 'content-type': 'application/json' },",
      "  body: JSON.stringify({ prompt: 'Why queue?' }),",
      '});',
      'const { text, timings } = await answer.json();',
      'console.log(`waited ${timings.queue_ms} ms`);',
      '```',
    ].join('\n'),
  },
];

/** The first target fails what does not ask it not to: a request of the story is tried again at the second. */
const FAILS = { fail: 'mid-stream', fail_after_tokens: 12 };
const MODELS = [
  {
    id: 'small',
    targets: [
      { backend: 'scripted', model: 'small', name: 'gpu-1', slots: 4, ...FAILS },
      { backend: 'scripted', model: 'small', name: 'gpu-2', slots: 4 },
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
    // What is asked is shown; what is sent has the script of the answer before it.
    await context.route('**/v1/chat/completions', async (route) => {
      const body = route.request().postDataJSON();
      const last = body.messages.at(-1);
      const { answer } = CONVERSATION.find(({ question }) => question === last.content);
      const script = { text: answer, first_token_delay_ms: 180, token_delay_ms: 12, fail: 'none' };
      last.content = `${JSON.stringify({ script })}\n${last.content}`;
      await route.continue({ postData: JSON.stringify(body) });
    });
    await page.waitForFunction(() => document.querySelector('.model-picker select')?.value);
    for (const [at, { question }] of CONVERSATION.entries()) {
      await page.getByLabel('Message', { exact: true }).fill(question);
      await page.keyboard.press('Enter');
      await page.getByText('tokens/s').nth(at).waitFor();
    }
    await pause(1_000);
    await save(page, `chat-${name}`);
    await context.close();
  }
}

async function takeLive(browser, url) {
  const pages = [];
  for (const [name, screen] of Object.entries(SCREENS))
    pages.push([name, await openLive(browser, url, screen)]);
  const moving = await openLive(browser, url, ANIMATION_SCREEN);
  await tellStory(url, async () => {
    for (const [, page] of pages) await page.getByRole('button', { name: 'Pause' }).click();
  });
  await moving.getByRole('button', { name: 'Pause' }).click();
  for (const [name, page] of pages) {
    if (name === 'light') await page.locator('[aria-labelledby="live-ended"] tbody button').nth(2).click();
    await page.mouse.move(0, 0);
    await page.evaluate('scrollTo(0, 0)');
    await pause(300);
    await save(page, `live-${name}`);
  }
  await takeAnimation(moving);
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
  for (let frame = 1; frame <= ANIMATION.frames; frame += 1) {
    await slider.fill(String((frame - ANIMATION.frames) * ANIMATION.stepMs));
    await page.evaluate(
      'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 40))))',
    );
    const png = await picture.screenshot();
    frames.push(await asWebp(page, png));
  }
  const file = join(images, 'live.webp');
  writeFileSync(file, animatedWebp(frames, ANIMATION.shownMs));
  said(file);
  if (statSync(file).size > ANIMATION.maxBytes) throw new Error('the animation has become too large');
}

/** By the browser's own encoder. */
async function asWebp(page, png) {
  const text = await page.evaluate(
    async ([data, quality]) => {
      const image = new Image();
      image.src = `data:image/png;base64,${data}`;
      await image.decode();
      const canvas = document.createElement('canvas');
      canvas.width = image.naturalWidth;
      canvas.height = image.naturalHeight;
      canvas.getContext('2d').drawImage(image, 0, 0);
      return canvas.toDataURL('image/webp', quality);
    },
    [png.toString('base64'), ANIMATION.quality],
  );
  return Buffer.from(text.slice(text.indexOf(',') + 1), 'base64');
}

/**
 * What happens in the pictures, in seconds: some requests come and go, two bursts fill the queue, one request fails at a target and goes
 * on at the other, one client leaves, the queue drains. `atFullest` runs while the queue is long.
 */
async function tellStory(url, atFullest) {
  const ends = [];
  const one = (tokens, more = {}) => {
    const script = {
      tokens,
      first_token_delay_ms: 250 + 40 * (tokens % 7),
      token_delay_ms: 45,
      ...more.script,
    };
    const body = {
      prompt: `${JSON.stringify({ script: { fail: 'none', ...script } })}\nwords`,
      max_tokens: 200,
    };
    if (more.fails) body.prompt = body.prompt.replace('"fail":"none",', '');
    const end = fetch(`${url}/stream`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      ...(more.signal && { signal: more.signal }),
      body: JSON.stringify(body),
    }).then((answer) => answer.text());
    // Some leave: that is part of the picture.
    ends.push(end.catch(() => {}));
  };
  const leaves = new AbortController();
  const begun = performance.now();
  const until = (seconds) => pause(Math.max(0, begun + seconds * 1_000 - performance.now()));
  for (const [second, tokens] of [
    [0, 40],
    [0.7, 25],
    [1.2, 55],
    [2.1, 30],
  ]) {
    await until(second);
    one(tokens);
  }
  await until(3);
  for (let at = 0; at < 12; at += 1) one(28 + 7 * (at % 6));
  await until(4.2);
  for (let at = 0; at < 4; at += 1) one(40, { fails: true });
  await until(5);
  for (let at = 0; at < 10; at += 1) one(24 + 5 * (at % 7), at === 2 ? { signal: leaves.signal } : {});
  setTimeout(() => leaves.abort(), 4_000);
  await until(7.5);
  await atFullest();
  await Promise.all(ends);
  await pause(2_500);
}

async function save(page, name) {
  const file = join(images, `${name}.png`);
  await page.screenshot({ path: file });
  said(file);
}

function said(file) {
  process.stdout.write(`${file.slice(root.length)} ${statSync(file).size} bytes\n`);
}
