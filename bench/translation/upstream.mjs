// An upstream with the OpenAI wire that streams as many tokens as the request's max_tokens says, each in a chunk of its own: as fast
// as they are taken, or one every few milliseconds where the prompt says "paced".
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { serveOrders } from '../worker.mjs';

/** An argument sets another one. */
const PACE_MS = Number(process.argv[2] ?? 5);
const HEAD = '"object":"chat.completion.chunk","created":1795394878,"model":"bench"';
const MODELS = '{"object":"list","data":[{"id":"bench","object":"model","owned_by":"bench"}]}';
const event = (fields) => `data: {"id":"chatcmpl-4LxgtbrCqKcy7SBxIoHSN0e8",${HEAD},${fields}}\n\n`;
const choice = (delta, reason = 'null') =>
  event(
    `"choices":[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${reason},"token_ids":null}]`,
  );
const ROLE = choice('{"role":"assistant","content":""}');
const WORDS = ['The', ' capital', ' of', ' France', ' is', ' Paris', '.', ' It'].map((word) =>
  choice(JSON.stringify({ content: word })),
);

const server = createServer({ noDelay: true }, async (request, response) => {
  if (request.method === 'GET') {
    response
      .writeHead(request.url === '/v1/models' ? 200 : 404)
      .end(request.url === '/v1/models' ? MODELS : '');
    return;
  }
  let body = '';
  for await (const piece of request.setEncoding('latin1')) {
    body = (body + piece).slice(-4096);
  }
  const tokens = Number(/"max_tokens":(\d+)/.exec(body)?.[1] ?? 8);
  const paced = body.includes('paced');
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(ROLE);
  for (let sent = 0; sent < tokens; sent += 1) {
    const room = response.write(WORDS[sent % WORDS.length]);
    if (!room) await new Promise((resolve) => response.once('drain', resolve));
    else if (paced) await delay(PACE_MS);
    else if (tokens > 8) await new Promise(setImmediate);
  }
  response.write(choice('{}', '"length"'));
  response.write(
    event(
      `"choices":[],"usage":{"prompt_tokens":37,"completion_tokens":${tokens},"total_tokens":${tokens + 37}}`,
    ),
  );
  response.end('data: [DONE]\n\n');
});

server.listen(0, '127.0.0.1', () => serveOrders({ port: server.address().port }));
