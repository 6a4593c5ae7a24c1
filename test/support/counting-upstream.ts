/**
 * A server behind the servers under test, that counts what runs there. It answers a chat request after the milliseconds that the prompt
 * names, and knows by the API key which server has sent it. Owns its socket.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { EndsWith } from './server.ts';

export interface CountingUpstream {
  readonly url: string;
  /** Requests that run there now, of one server or of all. */
  running(sender?: string): number;
  /** At the same time, since the last `takeMost`. On a busy machine it takes a while until all slots are in use at once. */
  most(): number;
  takeMost(): number;
  /** That have come, of one server or of all. */
  came(sender?: string): number;
  /** When the first request of a sender came, by performance.now(). */
  firstCameAt(sender: string): number;
}

export async function startCountingUpstream(endsWith: EndsWith): Promise<CountingUpstream> {
  const running = new Map<string, number>();
  const came = new Map<string, number>();
  const firstCameAt = new Map<string, number>();
  let most = 0;
  const sum = (counts: ReadonlyMap<string, number>) =>
    [...counts.values()].reduce((all, one) => all + one, 0);
  const add = (sender: string, change: number) => {
    running.set(sender, (running.get(sender) ?? 0) + change);
    most = Math.max(most, sum(running));
  };
  const server = createServer((request, response) => {
    const answer = (body: unknown) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    let text = '';
    request.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    request.on('end', () => {
      if (request.method === 'GET') return answer({ object: 'list', data: [{ id: 'm', object: 'model' }] });
      const sender = (request.headers.authorization ?? '').replace('Bearer ', '');
      const forMs = Number(/take (\d+) ms/.exec(text)?.[1] ?? 0);
      came.set(sender, (came.get(sender) ?? 0) + 1);
      if (!firstCameAt.has(sender)) firstCameAt.set(sender, performance.now());
      add(sender, 1);
      const timer = setTimeout(
        () =>
          answer({
            id: 'one',
            object: 'chat.completion',
            created: 1,
            model: 'm',
            choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }],
            usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 },
          }),
        forMs,
      );
      response.once('close', () => {
        clearTimeout(timer);
        add(sender, -1);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endsWith(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    running: (sender) => (sender === undefined ? sum(running) : (running.get(sender) ?? 0)),
    most: () => most,
    takeMost: () => {
      const seen = most;
      most = sum(running);
      return seen;
    },
    came: (sender) => (sender === undefined ? sum(came) : (came.get(sender) ?? 0)),
    firstCameAt: (sender) => firstCameAt.get(sender) ?? Number.POSITIVE_INFINITY,
  };
}
