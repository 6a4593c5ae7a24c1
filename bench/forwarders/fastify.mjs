// The least a Node gateway can do with Fastify and undici's `request`. No queue, no limits, no cancelling, no metrics, no log.
import fastify from 'fastify';
import { Pool } from 'undici';
import { serveOrders } from '../worker.mjs';
import { CHAT_PATH, chatBody, HEADERS, readLine } from './chat.mjs';

const [upstreamUrl, port = '0'] = process.argv.slice(2);
const pool = new Pool(upstreamUrl);
const server = fastify({ logger: false });
const ask = (body) => pool.request({ method: 'POST', path: CHAT_PATH, headers: HEADERS, body });

server.get('/health', async () => ({ status: 'ok' }));

// Parses the body, forwards it, reads the streamed answer whole, parses it, answers.
server.post('/generate', async (request) => {
  const { body } = await ask(chatBody(request.body));
  const answer = { text: '', usage: undefined };
  for (const line of (await body.text()).split('\n')) readLine(line, answer);
  return answer;
});

// Forwards the bytes of a stream.
server.post(CHAT_PATH, async (request, reply) => {
  const { statusCode, headers, body } = await ask(JSON.stringify(request.body));
  return reply.code(statusCode).header('content-type', headers['content-type']).send(body);
});

await server.listen({ host: '127.0.0.1', port: Number(port) });
serveOrders({ port: server.server.address().port });
