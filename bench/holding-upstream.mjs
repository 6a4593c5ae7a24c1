// An upstream with the OpenAI wire whose streams have one token, and then neither another one nor an end if the prompt says "held".
import { createServer } from 'node:http';
import { serveOrders } from './worker.mjs';

const MODELS = '{"object":"list","data":[{"id":"bench","object":"model","owned_by":"bench"}]}';
const event = (delta, reason = 'null') =>
  `data: {"id":"chatcmpl-4LxgtbrCqKcy7SBxIoHSN0e8","object":"chat.completion.chunk","created":1795394878,"model":"bench","choices":[{"index":0,"delta":${delta},"finish_reason":${reason}}]}\n\n`;
const BEGIN = `${event('{"role":"assistant","content":""}')}${event('{"content":"The"}')}`;
const END = `${event('{}', '"length"')}data: [DONE]\n\n`;

const server = createServer({ noDelay: true, requestTimeout: 0 }, (request, response) => {
  if (request.method === 'GET') {
    const isList = request.url === '/v1/models';
    response.writeHead(isList ? 200 : 404).end(isList ? MODELS : '');
    return;
  }
  let body = '';
  request.setEncoding('latin1').on('data', (piece) => {
    body += piece;
  });
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(BEGIN);
    if (!body.includes('held')) response.end(END);
  });
});

server.listen(0, '127.0.0.1', () => serveOrders({ port: server.address().port }));
