// An upstream with the OpenAI wire that answers every request with as many tokens as its max_tokens says: as a stream with an event
// for each token, a turn of the event loop apart, or in one piece.
import { createServer } from 'node:http';
import { serveOrders } from '../worker.mjs';

const MODELS = '{"object":"list","data":[{"id":"bench","object":"model","owned_by":"bench"}]}';
const WORDS = ['The', ' capital', ' of', ' France', ' is', ' Paris', '.', ' It'];
const HEAD = { id: 'chatcmpl-4LxgtbrCqKcy7SBxIoHSN0e8', created: 1795394878, model: 'bench' };

const server = createServer({ noDelay: true }, async (request, response) => {
  if (request.method === 'GET') {
    const isList = request.url === '/v1/models';
    response.writeHead(isList ? 200 : 404).end(isList ? MODELS : '');
    return;
  }
  let text = '';
  for await (const piece of request.setEncoding('utf8')) text += piece;
  const { max_tokens: tokens, stream } = JSON.parse(text);
  const usage = { prompt_tokens: 37, completion_tokens: tokens, total_tokens: tokens + 37 };
  if (stream) await streamAnswer(response, tokens, usage);
  else wholeAnswer(response, tokens, usage);
});

async function streamAnswer(response, tokens, usage) {
  const send = (fields) =>
    response.write(`data: ${JSON.stringify({ ...HEAD, object: 'chat.completion.chunk', ...fields })}\n\n`);
  const choice = (delta, finish_reason = null) =>
    send({ choices: [{ index: 0, delta, logprobs: null, finish_reason }] });
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  choice({ role: 'assistant', content: '' });
  for (let sent = 0; sent < tokens; sent += 1) {
    await new Promise(setImmediate);
    choice({ content: WORDS[sent % WORDS.length] });
  }
  choice({}, 'length');
  send({ choices: [], usage });
  response.end('data: [DONE]\n\n');
}

function wholeAnswer(response, tokens, usage) {
  const content = Array.from({ length: tokens }, (_, at) => WORDS[at % WORDS.length]).join('');
  const message = { role: 'assistant', content };
  const choices = [{ index: 0, message, logprobs: null, finish_reason: 'length' }];
  response
    .writeHead(200, { 'content-type': 'application/json' })
    .end(JSON.stringify({ ...HEAD, object: 'chat.completion', choices, usage }));
}

server.listen(0, '127.0.0.1', () => serveOrders({ port: server.address().port }));
