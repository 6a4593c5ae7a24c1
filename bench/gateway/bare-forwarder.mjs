// The least a Node gateway can do with the same web framework and client: parse the body, forward it, read the streamed
// answer whole, parse it, answer. No queue, no limits, no cancelling, no metrics, no log.
import fastify from 'fastify';
import { Pool } from 'undici';
import { serveOrders } from '../worker.mjs';

const pool = new Pool(process.argv[2]);
const server = fastify({ logger: false });

server.post('/generate', async (request) => {
  const { prompt, max_tokens, temperature } = request.body;
  const { body } = await pool.request({
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { accept: '*/*', 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'bench',
      stream: true,
      stream_options: { include_usage: true },
      temperature,
      max_tokens,
      messages: [{ role: 'user', content: prompt }],
    }),
  });
  return readAnswer(await body.text());
});

await server.listen({ host: '127.0.0.1', port: 0 });
serveOrders({ port: server.server.address().port });

function readAnswer(events) {
  let text = '';
  let usage;
  for (const line of events.split('\n')) {
    if (!line.startsWith('data: {')) continue;
    const chunk = JSON.parse(line.slice('data: '.length));
    text += chunk.choices[0]?.delta.content ?? '';
    usage = chunk.usage ?? usage;
  }
  return { text, usage };
}
