// The least a Node gateway can do without a web framework: Node's own HTTP server, and undici's `dispatch`, whose reader is handed
// each piece of an answer in the turn in which it came. No queue, no limits, no cancelling, no metrics, no log.
import { createServer } from 'node:http';
import { StringDecoder } from 'node:string_decoder';
import { Pool } from 'undici';
import { serveOrders } from '../worker.mjs';
import { CHAT_PATH, chatBody, HEADERS, readLine } from './chat.mjs';

const [upstreamUrl, port = '0'] = process.argv.slice(2);
const pool = new Pool(upstreamUrl);
const JSON_HEADERS = { 'content-type': 'application/json; charset=utf-8' };

const server = createServer({ noDelay: true }, (request, response) => {
  if (request.method === 'GET') answerJson(response, { status: 'ok' });
  else if (request.url === '/generate') generate(request, response);
  else forwardBytes(request, response);
});

/** Parses the body, forwards it, parses the streamed answer as it comes, answers. */
function generate(request, response) {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    const body = chatBody(JSON.parse(Buffer.concat(pieces).toString()));
    const answer = { text: '', usage: undefined };
    const decoder = new StringDecoder('utf8');
    let rest = '';
    const read = (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) readLine(line, answer);
    };
    pool.dispatch(
      { method: 'POST', path: CHAT_PATH, headers: HEADERS, body },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData: (_controller, piece) => read(decoder.write(piece)),
        onResponseEnd: () => answerJson(response, answer),
        onResponseError: () => response.destroy(),
      },
    );
  });
}

function answerJson(response, answer) {
  const body = JSON.stringify(answer);
  response.writeHead(200, { ...JSON_HEADERS, 'content-length': Buffer.byteLength(body) }).end(body);
}

/** Forwards the bytes of both sides and reads none of them. */
function forwardBytes(request, response) {
  pool.dispatch(
    { method: 'POST', path: CHAT_PATH, headers: request.headers, body: request },
    {
      onRequestStart(controller) {
        response.on('close', () => controller.abort(new Error('the client has gone')));
      },
      onResponseStart(_controller, status, headers) {
        response.writeHead(status, { 'content-type': headers['content-type'] });
      },
      onResponseData(controller, chunk) {
        if (response.write(chunk)) return;
        controller.pause();
        response.once('drain', () => controller.resume());
      },
      onResponseEnd: () => response.end(),
      onResponseError: () => response.destroy(),
    },
  );
}

server.listen(Number(port), '127.0.0.1', () => serveOrders({ port: server.address().port }));
