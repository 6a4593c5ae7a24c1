/**
 * Plays every golden transcript, of every protocol, against the whole server, and compares each answer with
 * /openapi.json too. `UPDATE_GOLDEN=1` writes what is answered.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { fetchDescription, undescribed } from '../support/api-description.ts';
import {
  type GoldenExchange,
  type GoldenFile,
  type GoldenSetup,
  readGolden,
  renderAnswer,
  requestBytes,
  writeGolden,
} from '../support/golden.ts';
import { exchangeBytes, metric, send } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { type ComposedServer, endingAfterAll, startServer } from '../support/server.ts';

const ROOT = fileURLToPath(new URL('.', import.meta.url));
const UPDATES = process.env.UPDATE_GOLDEN === '1';
const UNTIL_AT_MOST_MS = 120_000;

interface Transcript {
  /** Of the test: the protocol, the file, its title. */
  readonly name: string;
  readonly path: string;
  readonly text: string;
  readonly golden: GoldenFile;
  readonly flags: readonly string[];
  /** Those with the same name share a server. */
  readonly server: string;
}

const transcripts = readdirSync(ROOT, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .flatMap(({ name: protocol }) =>
    readdirSync(`${ROOT}${protocol}`)
      .filter((file) => file.endsWith('.http'))
      .map((file) => readTranscript(protocol, file)),
  );
const flagsByServer = new Map(transcripts.map(({ server, flags }) => [server, flags]));

for (const [name, flags] of flagsByServer)
  describe(name, () => {
    const endsWith = endingAfterAll();
    let server: ComposedServer;
    beforeAll(async () => {
      server = await startServer({ flags, endsWith });
    });
    for (const { name: title, path, text, golden } of transcripts.filter((each) => each.server === name))
      test(title, async () => {
        const answered = await play(golden, server);
        if (UPDATES) writeFileSync(path, writeGolden(text, answered));
        else expect(answered).toEqual(golden.exchanges);
      });
  });

function readTranscript(protocol: string, file: string): Transcript {
  const path = `${ROOT}${protocol}/${file}`;
  const text = readFileSync(path, 'utf8');
  const golden = readGolden(text);
  const { models, target, config, busy, drains } = golden.setup;
  const served = models === undefined ? scriptedFlags({ target }) : flagsOf(models);
  const flags = [...served, ...config];
  // What one file does to such a server would show in the answers to the next.
  const isItsOwn = busy > 0 || drains || config.includes('--rate-limit.enabled');
  return {
    name: `${protocol} > ${file}: ${golden.title}`,
    path,
    text,
    golden,
    flags,
    server: isItsOwn ? path : flags.join(' '),
  };
}

function flagsOf(models: string): string[] {
  return ['--models', models, '--rate-limit.enabled', 'false'];
}

async function play({ setup, exchanges }: GoldenFile, server: ComposedServer): Promise<GoldenExchange[]> {
  for (let count = 1; count <= setup.busy; count += 1) {
    const held = send(`${server.url}/generate`, { body: { prompt: scripted({ fail: 'hang' }) } });
    onTestFinished(() => void held.destroy());
    await expect.poll(() => underWay(server), { timeout: UNTIL_AT_MOST_MS, interval: 10 }).toBe(count);
  }
  if (setup.drains) void server.drain();
  const answered: GoldenExchange[] = [];
  for (const { request } of exchanges)
    answered.push({ request, answer: await answerTo(request, setup, server) });
  return answered;
}

async function underWay(server: ComposedServer): Promise<number> {
  const running = await metric(server, 'llm_serve_requests_running');
  return running + (await metric(server, 'llm_serve_requests_waiting'));
}

async function answerTo(request: string, setup: GoldenSetup, server: ComposedServer): Promise<string> {
  const answeredOnce = async () => {
    const answer = await exchangeBytes(server.port, requestBytes(request, server.port));
    const [method = '', path = ''] = request.split(/\s/, 2);
    expect(undescribed(await fetchDescription(server), { method, path }, answer)).toEqual([]);
    return renderAnswer(answer, setup);
  };
  const { until } = setup;
  if (until === undefined) return answeredOnce();
  let answer = '';
  await expect
    .poll(
      async () => {
        answer = await answeredOnce();
        return answer;
      },
      { timeout: UNTIL_AT_MOST_MS, interval: 20 },
    )
    .toContain(until);
  return answer;
}
