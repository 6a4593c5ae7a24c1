// A server behind, in a process of its own: a few tokens for the client that behaves, and for a prompt with "long" in it as much as
// the reader takes, up to a bound.
import { createServer } from 'node:http';
import { serveOrders } from '../worker.mjs';

const LONG_EVENTS = 4000;
const WORD = 'word '.repeat(40);

const event = (delta, finish = null) =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'bench', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
const LONG = event({ content: WORD });
const SHORT = ['Paris', ' is', ' the', ' capital', '.'].map((content) => event({ content })).join('');
const END = `${event({}, 'stop')}data: [DONE]\n\n`;

const server = createServer((request, response) => {
  let body = '';
  request.setEncoding('latin1').on('data', (piece) => {
    body += piece;
  });
  request.on('end', () => {
    if (request.method === 'GET') {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ object: 'list', data: [{ id: 'bench', object: 'model' }] }));
      return;
    }
    response.setHeader('content-type', 'text/event-stream');
    if (!body.includes('long')) {
      response.end(event({ role: 'assistant', content: '' }) + SHORT + END);
      return;
    }
    let left = LONG_EVENTS;
    const send = () => {
      while (left > 0 && !response.destroyed) {
        left -= 1;
        if (!response.write(LONG)) {
          response.once('drain', send);
          return;
        }
      }
      if (left === 0) response.end(END);
    };
    send();
  });
});
server.listen(0, '127.0.0.1', () => serveOrders({ port: server.address().port }));
