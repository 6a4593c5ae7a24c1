/**
 * GET /live as it goes over the wire, as one snapshot and as events, under a clock that the test moves: test/golden/live. A snapshot is
 * one line there; here each of its rows has its own. `UPDATE_GOLDEN=1` writes what is answered.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ServingError } from '../../src/core/errors.ts';
import type { GenerationEvent } from '../../src/core/generation.ts';
import type { RequestContext } from '../../src/http/context.ts';
import { liveRoutes } from '../../src/http/routes/live.ts';
import { SnapshotFeed } from '../../src/telemetry/live-feed.ts';
import { FINISH } from '../support/fake-backend.ts';
import { type Asked, ServedModels } from '../support/served-models.ts';

const START: GenerationEvent = { type: 'start', promptTokens: 3 };
const word = (text: string): GenerationEvent => ({ type: 'text', text });

/** One slot, and the routes of the feed in front of it. */
class LiveServer {
  readonly models = new ServedModels({ 'm/one': { slots: 1, idleTimeoutMs: 60_000 } });
  readonly #feed = new SnapshotFeed({
    clock: this.models.clock,
    version: '1.2.3',
    settings: { objectives: { ttftMs: 500 } },
    state: (viewer, done) => done(this.models.serving.live(viewer)),
  });

  /** As the edge reports it. */
  ended({ trace }: Asked, status: number): void {
    const endedAt = this.models.clock.now();
    const client = { path: '/stream', route: '/stream', clientAddress: '10.1.1.1' };
    this.#feed.requestEnded({ method: 'POST', status, trace, endedAt, ...client });
  }

  /** What a client is sent, by and by. */
  get(accept: string): { text(): string } {
    let text = `GET /live HTTP/1.1\naccept: ${accept}\n---\n`;
    const headers: string[] = [];
    const head = (status: number, further: readonly string[]) => {
      const all = [...headers, ...further];
      const lines = all.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${all[at + 1]}`] : []));
      text += `${[`HTTP/1.1 ${status}`, ...lines].join('\n')}\n\n`;
    };
    const context = {
      request: { method: 'GET', headers: { accept }, url: '/live' },
      response: { headersSent: false, destroyed: false },
      seesOnly: undefined,
      setHeader: (name: string, value: string) => void headers.push(name, value),
      answerJson: (status: number, value: unknown) => {
        head(status, ['content-type', 'application/json; charset=utf-8']);
        text += readable(JSON.stringify(value));
      },
      begin: (status: number, further: readonly string[]) => {
        context.response.headersSent = true;
        head(status, further);
      },
      write: (piece: string, onLeft: () => void) => {
        text += piece.replace(/^data: (.*)$/m, (_, data: string) => `data: ${readable(data)}`);
        onLeft();
      },
      onClose: () => {},
    };
    const [route] = liveRoutes({ live: this.#feed });
    void route?.handle(context as unknown as RequestContext);
    return { text: () => text };
  }
}

/** The same JSON, with a line for each row. Names of clients are drawn anew in each process. */
function readable(json: string): string {
  const lines = Object.entries(JSON.parse(json) as Record<string, unknown>).map(([name, value]) => {
    const rows = Array.isArray(value) ? value.map((row) => `\n    ${JSON.stringify(row)}`) : [];
    return `  ${JSON.stringify(name)}: ${rows.length > 0 ? `[${rows.join(',')}\n  ]` : JSON.stringify(value)}`;
  });
  return `{\n${lines.join(',\n')}\n}`.replace(/"client":"[0-9a-f]{8}"/g, '"client":"<client>"');
}

function matches(name: string, answered: string): void {
  const path = fileURLToPath(new URL(`live/${name}`, import.meta.url));
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(path, `${answered}\n`);
  else expect(`${answered}\n`).toBe(readFileSync(path, 'utf8'));
}

test('as events: nobody, then one that runs and one that waits, tokens, receipts, and a heartbeat', async () => {
  const server = new LiveServer();
  const { models } = server;
  const reader = server.get('text/event-stream');
  await models.clock.advance(300);
  const first = models.ask();
  const second = models.ask();
  await models.clock.advance(300);
  for (const event of [START, word('one'), word(' two')]) models.lastAt('m/one').send(event);
  await models.clock.advance(300);
  models.lastAt('m/one').send(FINISH);
  server.ended(first, 200);
  await models.clock.advance(200);
  second.cancellation.cancel(new ServingError('client_gone'));
  // As the edge notes it.
  Object.assign(second.trace, { cancelPhase: 'waiting', errorCode: 'client_gone' });
  server.ended(second, 499);
  await models.clock.advance(8000);
  matches('events.txt', reader.text());
});

test('as one snapshot', async () => {
  const server = new LiveServer();
  const { models } = server;
  models.ask();
  models.ask();
  await models.clock.advance(40);
  for (const event of [START, word('one')]) models.lastAt('m/one').send(event);
  await models.clock.advance(60);
  const answer = server.get('application/json');
  await models.clock.advance(0);
  matches('snapshot.txt', answer.text());
});
