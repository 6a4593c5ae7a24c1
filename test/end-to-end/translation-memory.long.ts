/**
 * What translation costs: a stream of 50,000 pieces needs no more memory than one of 5,000, and a prompt of 100,000 tokens a
 * few times its own size, in every protocol.
 */
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Executable, startExecutable } from '../support/executable.ts';
import { metric } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll } from '../support/server.ts';

const CHUNKS = 50_000;
const PROMPT = 'word '.repeat(100_000);
const MEBIBYTE = 1_048_576;
/** To keep 200 bytes of each piece would need as much. */
const STREAM_GROWTH = 10 * MEBIBYTE;
const PROMPT_GROWTH = 30 * MEBIBYTE;
const SAMPLE_MS = 20;

/** Of a text that is asked, and how many tokens are answered. */
const FORMS: Readonly<Record<string, (text: string, tokens: number) => object>> = {
  '/stream': (prompt, max_tokens) => ({ prompt, max_tokens }),
  '/v1/chat/completions': (content, max_tokens) => ({
    model: 'demo',
    max_tokens,
    stream: true,
    messages: [{ role: 'user', content }],
  }),
  '/v1/completions': (prompt, max_tokens) => ({ model: 'demo', prompt, max_tokens, stream: true }),
  '/v1/responses': (input, max_output_tokens) => ({ model: 'demo', input, max_output_tokens, stream: true }),
  '/v1/messages': (content, max_tokens) => ({
    model: 'demo',
    max_tokens,
    stream: true,
    messages: [{ role: 'user', content }],
  }),
  '/api/chat': (content, num_predict) => ({
    model: 'demo',
    options: { num_predict },
    messages: [{ role: 'user', content }],
  }),
  '/api/generate': (prompt, num_predict) => ({ model: 'demo', prompt, options: { num_predict } }),
};

const ends = endingAfterAll();
let server: Executable;
beforeAll(async () => {
  server = await startExecutable({
    flags: scriptedFlags({ target: { context_size: 1_000_000, tokens: CHUNKS } }),
    // Garbage is collected soon, so that what is resident is what is kept.
    environment: { NODE_OPTIONS: '--max-old-space-size=128 --max-semi-space-size=1' },
    endsWith: ends,
  });
});

describe.each(Object.entries(FORMS))('%s', (path, bodyOf) => {
  test('a long stream needs no more memory than a short one', async () => {
    const text = scripted({ tokens: CHUNKS }, 'one two three');
    // Once, so that code is compiled and the heap has its size.
    await peakOf(path, bodyOf(text, CHUNKS));
    const short = await peakOf(path, bodyOf(text, CHUNKS / 10));
    const long = await peakOf(path, bodyOf(text, CHUNKS));
    report(path, 'stream', { short, long });
    expect(long.pieces).toBeGreaterThan(CHUNKS / 2);
    expect(long.peak - short.peak).toBeLessThan(STREAM_GROWTH);
  });

  test('a long prompt needs a few times its size, and leaves nothing behind', async () => {
    const small = await peakOf(path, bodyOf('word', 5));
    const large = await peakOf(path, bodyOf(PROMPT, 5));
    for (let again = 0; again < 9; again += 1) await peakOf(path, bodyOf(PROMPT, 5));
    const tenth = await peakOf(path, bodyOf(PROMPT, 5));
    report(path, 'prompt', { small, large, tenth });
    expect(large.peak - small.peak).toBeLessThan(PROMPT_GROWTH);
    expect(tenth.peak - small.peak).toBeLessThan(PROMPT_GROWTH);
    expect(await metric(server, 'llm_serve_queue_bytes')).toBe(0);
  });
});

interface Seen {
  readonly peak: number;
  readonly pieces: number;
}

/** Reads the whole answer and keeps none of it. */
async function peakOf(path: string, body: object): Promise<Seen> {
  const seen = { peak: residentBytes(), pieces: 0 };
  const sampling = setInterval(() => {
    seen.peak = Math.max(seen.peak, residentBytes());
  }, SAMPLE_MS);
  await new Promise<void>((resolve, reject) => {
    const sent = request(`${server.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      expect(response.statusCode).toBe(200);
      response.on('data', (bytes: Buffer) => {
        for (let at = bytes.indexOf('\n'); at !== -1; at = bytes.indexOf('\n', at + 1)) seen.pieces += 1;
      });
      response.on('error', reject);
      response.on('end', resolve);
    });
    sent.end(JSON.stringify(body));
  }).finally(() => clearInterval(sampling));
  seen.peak = Math.max(seen.peak, residentBytes());
  return seen;
}

function residentBytes(): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}

function report(path: string, what: string, seen: Readonly<Record<string, Seen>>): void {
  const peaks = Object.entries(seen).map(([name, { peak }]) => `${name} ${(peak / MEBIBYTE).toFixed(1)}`);
  process.stdout.write(`${path} ${what}: ${peaks.join(', ')} MiB\n`);
}
