/**
 * Plays every golden transcript, of every protocol, against the real executable, and holds each answer against
 * /openapi.json. `UPDATE_GOLDEN=1` writes what is answered.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fetchDescription, undescribed } from '../support/api-description.ts';
import { type Executable, endingAfterAll, startServer } from '../support/executable.ts';
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

const ROOT = fileURLToPath(new URL('.', import.meta.url));
const PROTOCOLS = readdirSync(ROOT, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => ({ name, folder: `${ROOT}${name}` }));
const UPDATES = process.env.UPDATE_GOLDEN === '1';
const UNTIL_AT_MOST_MS = 5000;

describe.each(PROTOCOLS)('$name', ({ folder }) => {
  const shared: Shared = { servers: new Map(), endsWith: endingAfterAll() };

  for (const name of readdirSync(folder).filter((file) => file.endsWith('.http'))) {
    const path = `${folder}/${name}`;
    const text = readFileSync(path, 'utf8');
    const golden = readGolden(text);
    test(`${name}: ${golden.title}`, async () => {
      const server = await serverFor(golden.setup, shared);
      const answered = await play(golden, server);
      if (UPDATES) writeFileSync(path, writeGolden(text, answered));
      else expect(answered).toEqual(golden.exchanges);
    });
  }
});

interface Shared {
  readonly servers: Map<string, Promise<Executable>>;
  readonly endsWith: (end: () => Promise<void>) => void;
}

/** Files with the same configuration share a server; one that is filled up or ended is a file's own. */
function serverFor(setup: GoldenSetup, shared: Shared): Promise<Executable> {
  const flags = [...scriptedFlags({ target: setup.target }), ...setup.config];
  if (setup.busy > 0 || setup.signal !== undefined) return startServer({ flags, endsWith: onTestFinished });
  const key = flags.join(' ');
  const server = shared.servers.get(key) ?? startServer({ flags, endsWith: shared.endsWith });
  shared.servers.set(key, server);
  return server;
}

async function play({ setup, exchanges }: GoldenFile, server: Executable): Promise<GoldenExchange[]> {
  for (let count = 1; count <= setup.busy; count += 1) {
    const held = send(`${server.url}/generate`, { body: { prompt: scripted({ fail: 'hang' }) } });
    onTestFinished(() => void held.destroy());
    await expect.poll(() => underWay(server), { timeout: UNTIL_AT_MOST_MS }).toBe(count);
  }
  if (setup.signal !== undefined) {
    server.signal(setup.signal);
    await server.logged(({ msg }) => msg.includes(String(setup.signal)));
  }
  const answered: GoldenExchange[] = [];
  for (const { request } of exchanges)
    answered.push({ request, answer: await answerTo(request, setup, server) });
  return answered;
}

async function underWay(server: Executable): Promise<number> {
  const running = await metric(server, 'llm_serve_requests_running');
  return running + (await metric(server, 'llm_serve_requests_waiting'));
}

async function answerTo(request: string, { until }: GoldenSetup, server: Executable): Promise<string> {
  const once = async () => {
    const answer = await exchangeBytes(server.port, requestBytes(request, server.port));
    const [method = '', path = ''] = request.split(/\s/, 2);
    expect(undescribed(await fetchDescription(server), { method, path }, answer)).toEqual([]);
    return renderAnswer(answer);
  };
  if (until === undefined) return once();
  let answer = '';
  await expect
    .poll(
      async () => {
        answer = await once();
        return answer;
      },
      { timeout: UNTIL_AT_MOST_MS },
    )
    .toContain(until);
  return answer;
}
