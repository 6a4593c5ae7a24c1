// An upstream with the OpenAI wire whose answers take a while: one token, whole. The argument: milliseconds.
import { createServer } from 'node:http';
import { serveOrders } from '../worker.mjs';

const answerMs = Number(process.argv[2]);
const ANSWER = JSON.stringify({
  id: 'bench',
  object: 'chat.completion',
  model: 'bench',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Paris' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 8, completion_tokens: 1, total_tokens: 9 },
});
const MODELS = JSON.stringify({ object: 'list', data: [{ id: 'bench', object: 'model' }] });

const server = createServer((request, response) => {
  const answer = (text) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(text);
  };
  request.resume();
  request.on('end', () => {
    if (request.method === 'GET') answer(MODELS);
    else setTimeout(() => answer(ANSWER), answerMs);
  });
});
server.listen(0, '127.0.0.1', () => serveOrders({ port: server.address().port }));
