// An instant upstream with the OpenAI wire: every chat request gets the same streamed answer of eight tokens, in the
// chunks a real server sends, written at once. On bare sockets, so that it costs as little as possible itself.
import { createServer } from 'node:net';
import { serveOrders } from '../worker.mjs';

/** How often the eight tokens are in an answer. */
const TIMES = Number(process.argv[2] ?? 1);
const WORDS = ['The', ' capital', ' of', ' France', ' is', ' Paris', '.', ' It'];
const TOKENS = Array.from({ length: TIMES }, () => WORDS).flat();
const HEADER_END = Buffer.from('\r\n\r\n');
const MODELS = '{"object":"list","data":[{"id":"bench","object":"model","owned_by":"bench"}]}';

const ANSWER = Buffer.from(
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n' +
    [...events()].map((event) => `${event.length.toString(16)}\r\n${event}\r\n`).join('') +
    '0\r\n\r\n',
);
const MODELS_ANSWER = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${MODELS.length}\r\n\r\n${MODELS}`;
const NOT_FOUND = 'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n';

const server = createServer({ noDelay: true }, (socket) => {
  let pending = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    for (let end = requestEnd(pending); end !== undefined; end = requestEnd(pending)) {
      socket.write(answerTo(pending));
      pending = pending.subarray(end);
    }
  });
});
server.listen(0, '127.0.0.1', () => serveOrders({ port: server.address().port }));

function* events() {
  const chunk = (fields) =>
    `data: ${JSON.stringify({ id: 'chatcmpl-4LxgtbrCqKcy7SBxIoHSN0e8', object: 'chat.completion.chunk', created: 1795394878, model: 'bench', ...fields })}\n\n`;
  const choice = (delta, finish_reason = null) => chunk({ choices: [{ index: 0, delta, finish_reason }] });
  yield choice({ role: 'assistant', content: '' });
  for (const content of TOKENS) yield choice({ content });
  yield choice({}, 'length');
  yield chunk({
    choices: [],
    usage: { prompt_tokens: 37, completion_tokens: TOKENS.length, total_tokens: 37 + TOKENS.length },
  });
  yield 'data: [DONE]\n\n';
}

/** Where the first request in `bytes` ends; undefined while it is not whole. */
function requestEnd(bytes) {
  const headerEnd = bytes.indexOf(HEADER_END);
  if (headerEnd === -1) return undefined;
  const length = /content-length: *(\d+)/i.exec(bytes.latin1Slice(0, headerEnd))?.[1] ?? '0';
  const end = headerEnd + HEADER_END.length + Number(length);
  return bytes.length >= end ? end : undefined;
}

function answerTo(bytes) {
  if (bytes[0] === 'P'.charCodeAt(0)) return ANSWER;
  return bytes.latin1Slice(0, 15) === 'GET /v1/models ' ? MODELS_ANSWER : NOT_FOUND;
}
