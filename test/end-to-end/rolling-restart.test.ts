/** Two instances are replaced one after the other while clients that keep their connections go on asking: none of them notices. */
import { Agent, request } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { type Executable, startExecutable } from '../support/executable.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { TcpBalancer } from '../support/tcp-balancer.ts';

const CLIENTS = 16;
const REQUESTS = 600;
const DELAY_SECONDS = 2;

test('a rolling restart fails no request on a kept connection', async () => {
  const balancer = await TcpBalancer.listen(onTestFinished);
  const flags = [...scriptedFlags(), '--server.shutdown-delay-seconds', String(DELAY_SECONDS)];
  const start = async () => {
    const server = await startExecutable({ flags, endsWith: onTestFinished });
    balancer.add(server.port);
    await expect.poll(() => balancer.isReady(server.port), { timeout: 120_000 }).toBe(true);
    return server;
  };
  let instances = [await start(), await start()];
  const load = new KeptConnections(balancer.port);
  onTestFinished(() => load.close());
  const clients = Array.from({ length: CLIENTS }, (_, client) => load.run(client));

  const replace = async (old: Executable) => {
    const fresh = await start();
    await load.afterMore(REQUESTS / 10);
    expect((await old.stop()).exitCode).toBe(0);
    balancer.remove(old.port);
    return fresh;
  };
  const first = await replace(instances[0] as Executable);
  const second = await replace(instances[1] as Executable);
  instances = [first, second];
  await load.reached(REQUESTS);
  load.stop();
  await Promise.all(clients);
  expect(load.failures).toEqual([]);
});

/** Clients with one connection each, kept while the server lets them. */
class KeptConnections {
  readonly failures: string[] = [];
  readonly #agents: Agent[] = [];
  readonly #port: number;
  #answered = 0;
  #stopped = false;

  constructor(port: number) {
    this.#port = port;
  }

  async run(client: number): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    this.#agents.push(agent);
    for (let count = 0; !this.#stopped; count += 1) {
      // Every fourth is a stream, whose headers may have gone out before the signal came.
      const streams = (client + count) % 4 === 0;
      const failure = await this.#ask(agent, streams ? '/stream' : '/generate').catch(String);
      if (failure !== undefined) this.failures.push(failure);
      this.#answered += 1;
    }
  }

  reached(answered: number): Promise<void> {
    return expect.poll(() => this.#answered, { timeout: 120_000 }).toBeGreaterThanOrEqual(answered);
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
  #ask(agent: Agent, path: string): Promise<string | undefined> {
    const body = JSON.stringify({ prompt: scripted({ tokens: 4, token_delay_ms: 2 }) });
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
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
          const whole =
            path === '/generate' ? text.includes('"finish_reason"') : text.includes('data: [DONE]');
          resolve(response.statusCode === 200 && whole ? undefined : `${response.statusCode} ${text}`);
        });
      });
      sent.end(body);
    });
  }
}
