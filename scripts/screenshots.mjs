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
/** Plays at about twice the speed of what it shows. */
const ANIMATION = { frames: 72, shownMs: 110, quality: 0.5, maxBytes: 1_200_000 };
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

/** The first target fails what does not ask it not to: a request of the story goes on at the second, at that one's pace. */
const FAILS = { fail: 'mid-stream', fail_after_tokens: 12 };
const PACE = { tokens: 40, first_token_delay_ms: 300, token_delay_ms: 45 };
const MODELS = [
  {
    id: 'small',
    targets: [
      { backend: 'scripted', model: 'small', name: 'gpu-1', slots: 4, ...PACE, ...FAILS },
      { backend: 'scripted', model: 'small', name: 'gpu-2', slots: 4, ...PACE },
    ],
  },
];

const PRICES = { small: { prompt: 0.4, completion: 1.6 } };

/** Who calls in the pictures of Admin, with how many requests. The last one may administer. */
const KEYS = [
  {
    requests: 9,
    name: 'search-frontend',
    team: 'search',
    limits: { requests_per_minute: 60, tokens_per_day: 4_000 },
  },
  {
    requests: 6,
    name: 'search-nightly',
    team: 'search',
    limits: { concurrent_requests: 2 },
    highest_priority: 'low',
  },
  {
    requests: 11,
    name: 'assistant',
    team: 'support',
    limits: { requests_per_minute: 12, budget_per_month: 200 },
  },
  {
    requests: 3,
    name: 'trial',
    team: 'sales',
    models: ['small'],
    limits: { requests_per_day: 20 },
    expires_in: 2_592_000,
  },
  { requests: 0, name: 'ops', may_admin: true },
];

/** Seconds, and the tokens of the answer. */
const EARLY = [
  [0, 60],
  [0.7, 40],
  [1.2, 75],
  [2.1, 50],
];
const WORDS = 'one two three '.repeat(20);
const LEAVES_AFTER_MS = 1_500;

const ends = [];
try {
  const url = await startServer();
  const browser = await chromium.launch({
    executablePath: process.env.LLM_TEST_CHROMIUM ?? '/usr/bin/chromium',
    chromiumSandbox: process.getuid?.() !== 0,
    args: ['--disable-gpu', '--force-color-profile=srgb'],
  });
  ends.push(() => browser.close());
  // `npm run screenshots -- admin`: those of one view. Admin is the last: with its keys the others would need one.
  const shown = process.argv[2];
  const takes = (name) => shown === undefined || shown === name;
  if (takes('chat')) await takeChat(browser, url);
  if (takes('live')) await takeLive(browser, url);
  if (takes('admin')) await takeAdmin(browser, url);
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
      ...['--access.store', 'memory:', '--prices.models', JSON.stringify(PRICES)],
      // Batches are seen to form.
      ...['--scheduler.mode', 'window', '--scheduler.window-ms', '60'],
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
      const answer = page.locator('.message.assistant').nth(at);
      await answer.getByLabel('Regenerate answer').waitFor();
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
  const story = await tellStory(url);
  for (const [name, page] of pages) {
    const lookAt = await stop(page);
    await lookAt(story.fullestAt);
    if (name === 'light')
      await page
        .locator('[aria-labelledby="live-ended"] tbody tr', { hasText: '→' })
        .getByRole('button')
        .first()
        .click();
    await page.mouse.move(0, 0);
    await page.evaluate('scrollTo(0, 0)');
    await pause(300);
    await save(page, `live-${name}`);
  }
  await takeAnimation(moving, story);
}

/** Keys and a little usage, then a section in each picture. */
async function takeAdmin(browser, url) {
  let admin;
  for (const { requests, ...fields } of KEYS) {
    const made = await postJson(`${url}/admin/keys`, fields, admin);
    admin = made.may_admin ? made.key : admin;
    const script = { tokens: 30 + 5 * requests, fail: 'none', token_delay_ms: 2, first_token_delay_ms: 5 };
    const prompt = `${JSON.stringify({ script })}\n${WORDS}`;
    for (let at = 0; at < requests; at += 1)
      await postJson(`${url}/generate`, { prompt, max_tokens: 300 }, made.key);
  }
  const sections = { dark: 'keys', light: 'usage', phone: 'limits' };
  for (const [name, screen] of Object.entries(SCREENS)) {
    const context = await browser.newContext({ ...screen, viewport: { ...screen.viewport, height: 640 } });
    context.setDefaultTimeout(PATIENCE_MS);
    await context.addInitScript((key) => sessionStorage.setItem('llm-serve.admin-key', key), admin);
    const page = await context.newPage();
    await page.goto(`${url}/#/admin/${sections[name]}`);
    await page.locator('.admin :is(.table, .admin-cards)').first().waitFor();
    // Its charts, and the usage of the keys.
    await pause(1_500);
    await save(page, `admin-${name}`);
    await context.close();
  }
}

/** A key that was just made is taken within a second. */
async function postJson(url, body, key) {
  for (const until = performance.now() + PATIENCE_MS; ; await pause(200)) {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) },
      body: JSON.stringify(body),
    });
    if (answer.ok) return answer.json();
    if (answer.status !== 401 || performance.now() > until)
      throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  }
}

/** Pauses the page. Returns how to show the lanes up to a time, by this machine's clock. */
async function stop(page) {
  await page.getByRole('button', { name: 'Pause' }).click();
  const stoppedAt = Date.now();
  const slider = page.getByRole('slider');
  // In steps of the slider.
  return (time) => slider.fill(String(Math.min(0, Math.round((time - stoppedAt) / 50) * 50)));
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
async function takeAnimation(page, { begunAt, endedAt }) {
  const picture = page.locator('.live-picture');
  const lookAt = await stop(page);
  const step = (endedAt - begunAt) / ANIMATION.frames;
  const frames = [];
  for (let frame = 1; frame <= ANIMATION.frames; frame += 1) {
    await lookAt(begunAt + frame * step);
    await page.evaluate(
      'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 40))))',
    );
    frames.push(await asWebp(page, await picture.screenshot()));
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
 * on at the other, one client leaves, the queue drains. Returns times of it, by this machine's clock.
 */
async function tellStory(url) {
  const ends = [];
  const one = (tokens, { fails = false, leaves = false } = {}) => {
    const script = { tokens, first_token_delay_ms: 250 + 40 * (tokens % 7), token_delay_ms: 45 };
    const first = JSON.stringify({ script: fails ? script : { ...script, fail: 'none' } });
    // Some leave: that is part of the picture.
    ends.push(
      ask(`${url}/stream`, { prompt: `${first}\n${WORDS}`, max_tokens: 300 }, leaves).catch(() => {}),
    );
  };
  const begun = performance.now();
  const begunAt = Date.now() + 2_000;
  const until = (seconds) => pause(Math.max(0, begun + seconds * 1_000 - performance.now()));
  for (const [second, tokens] of EARLY) {
    await until(second);
    one(tokens);
  }
  await until(3);
  for (let at = 0; at < 13; at += 1) one(40 + 9 * (at % 6), { fails: at === 4 || at === 7 });
  await until(5);
  for (let at = 0; at < 10; at += 1) one(at === 1 ? 150 : 34 + 8 * (at % 7), { leaves: at === 1 });
  await until(9.5);
  const fullestAt = Date.now();
  await Promise.all(ends);
  await pause(2_500);
  return { begunAt, fullestAt, endedAt: Date.now() - 500 };
}

async function ask(url, body, leaves) {
  const leaving = new AbortController();
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: leaving.signal,
  });
  // Once its answer has begun.
  if (leaves) setTimeout(() => leaving.abort(), LEAVES_AFTER_MS);
  await answer.text();
}

async function save(page, name) {
  const file = join(images, `${name}.png`);
  await page.screenshot({ path: file });
  said(file);
}

function said(file) {
  process.stdout.write(`${file.slice(root.length)} ${statSync(file).size} bytes\n`);
}
