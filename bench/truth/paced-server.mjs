// A server of OpenAI's chat protocol whose token times are known: it writes each token when a seeded plan says so, and notes when it
// really did, on its own clock. The plan of an answer is that of its number, so every client gets the same answers. Shorter
// answers are a client's warm-up: neither numbered nor noted. GET /truth answers with the notes since the last POST /truth.
// Prints its address when it listens.
import { createServer } from 'node:http';

const SEED = 7;
const TOKENS = 40;
const FIRST_MS = { min: 80, max: 240 };
const GAP_MS = { min: 10, max: 40 };

let answers = [];
let count = 0;

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const receivedAt = performance.now();
    if (request.url === '/truth') return truth(request, response);
    if (request.url.startsWith('/v1/models'))
      return response.end(
        JSON.stringify({ object: 'list', data: [{ id: 'paced', object: 'model', owned_by: 'paced' }] }),
      );
    if (request.url === '/v1/chat/completions')
      return answer(JSON.parse(Buffer.concat(chunks)), response, receivedAt);
    response.writeHead(404).end('{}');
  });
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () =>
  console.log(`http://127.0.0.1:${server.address().port}`),
);

function truth(request, response) {
  if (request.method === 'POST') {
    answers = [];
    count = 0;
  }
  response.end(JSON.stringify(answers));
}

function answer({ max_tokens: most, messages }, response, receivedAt) {
  const tokens = Math.min(most ?? TOKENS, TOKENS);
  const isCounted = tokens === TOKENS;
  if (isCounted) count += 1;
  const random = seeded(isCounted ? SEED + count : SEED);
  const between = ({ min, max }) => min + (max - min) * random();
  const promptTokens = messages
    .map(({ content }) => content)
    .join(' ')
    .split(/\s+/).length;
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(chunk({ role: 'assistant', content: '' }));
  const writtenAt = [];
  let dueAt = receivedAt + between(FIRST_MS);
  const next = () => {
    response.write(chunk({ content: ` t${writtenAt.length}` }));
    writtenAt.push(performance.now());
    if (writtenAt.length < tokens) {
      dueAt += between(GAP_MS);
      return setTimeout(next, dueAt - performance.now());
    }
    const usage = {
      prompt_tokens: promptTokens,
      completion_tokens: tokens,
      total_tokens: promptTokens + tokens,
    };
    response.end(`${chunk({}, 'length')}${event({ ...HEAD, choices: [], usage })}data: [DONE]\n\n`);
    if (!isCounted) return;
    answers.push({
      ttft: writtenAt[0] - receivedAt,
      gaps: writtenAt.slice(1).map((at, index) => at - writtenAt[index]),
      e2e: performance.now() - receivedAt,
      tokens,
    });
  };
  setTimeout(next, dueAt - performance.now());
}

const HEAD = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'paced' };
function chunk(delta, finish = null) {
  return event({ ...HEAD, choices: [{ index: 0, delta, finish_reason: finish }] });
}
function event(data) {
  return `data: ${JSON.stringify(data)}\n\n`;
}

/** A linear congruential generator: anything that repeats will do. */
function seeded(seed) {
  // Neighbouring seeds begin far apart.
  let state = Math.imul(seed, 2654435761);
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
