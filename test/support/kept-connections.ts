/**
 * Load on a rolling restart: clients with one connection each, kept while the server lets them, which ask one request after the
 * other, for whole answers, streams, and now and then a stream that takes seconds. None repeats a request.
 */
import { Agent, request } from 'node:http';
import { expect } from 'vitest';
import { scripted } from './scripted-server.ts';

const SHORT = { tokens: 4, token_delay_ms: 2 };
/** Longer than a shutdown's delay, so that it is waited for. */
const LONG = { tokens: 30, token_delay_ms: 250 };
const LONG_EVERY = 60;
/** Some clients are idle between two requests, for less than a shutdown's delay. */
const PAUSE_MS = 300;

export class KeptConnections {
  readonly failures: string[] = [];
  readonly #agents: Agent[] = [];
  readonly #port: number;
  /** Of every request. */
  readonly #headers: Readonly<Record<string, string>>;
  #answered = 0;
  #long = 0;
  #stopped = false;

  constructor(port: number, headers: Readonly<Record<string, string>> = {}) {
    this.#port = port;
    this.#headers = headers;
  }

  get answered(): number {
    return this.#answered;
  }

  /** Streams that took seconds, among those answered. */
  get long(): number {
    return this.#long;
  }

  /** Asks until it is stopped. */
  async run(client: number): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    this.#agents.push(agent);
    for (let count = 0; !this.#stopped; count += 1) {
      const isLong = (client * 7 + count) % LONG_EVERY === LONG_EVERY - 1;
      // Every fourth is a stream, whose headers may have gone out before the signal came.
      const streams = isLong || (client + count) % 4 === 0;
      const path = streams ? '/stream' : '/generate';
      const failure = await this.#ask(agent, path, isLong ? LONG : SHORT).catch(String);
      if (failure !== undefined) this.failures.push(failure);
      this.#answered += 1;
      if (isLong) this.#long += 1;
      if (client % 4 === 3) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  reached(answered: number): Promise<void> {
    return expect.poll(() => this.#answered, { timeout: 600_000 }).toBeGreaterThanOrEqual(answered);
  }

  afterMore(answers: number): Promise<void> {
    return this.reached(this.#answered + answers);
  }

  stop(): void {
    this.#stopped = true;
  }

  close(): void {
    this.stop();
    for (const agent of this.#agents) agent.destroy();
  }

  /** What went wrong, if anything did. */
  #ask(agent: Agent, path: string, script: typeof SHORT): Promise<string | undefined> {
    const body = JSON.stringify({ prompt: scripted(script) });
    const headers = {
      ...this.#headers,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    return new Promise((resolve, reject) => {
      const sent = request({ agent, port: this.#port, path, method: 'POST', headers });
      sent.on('error', reject);
      sent.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => {
          text += piece;
        });
        response.on('error', reject);
        response.on('end', () => {
          const tokens = path === '/generate' ? script.tokens : [...text.matchAll(/"token"/g)].length;
          const whole =
            path === '/generate' ? text.includes('"finish_reason"') : text.includes('data: [DONE]');
          const isRight = response.statusCode === 200 && whole && tokens === script.tokens;
          resolve(isRight ? undefined : `${path} ${response.statusCode} ${text}`);
        });
      });
      sent.end(body);
    });
  }
}
