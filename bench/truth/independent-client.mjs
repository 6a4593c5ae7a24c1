// A second opinion on llm-serve bench where there is no Python: a closed loop of users against an OpenAI-compatible server over bare
// sockets. It shares no code with bench, not even an HTTP parser. Prints the raw times in milliseconds as JSON.
// node independent-client.mjs http://127.0.0.1:8000 MODEL USERS REQUESTS TOKENS
import { connect } from 'node:net';

const [address, model, ...numbers] = process.argv.slice(2);
const [users, requests, tokens] = numbers.map(Number);
const { hostname, port } = new URL(address);
const answers = [];
let left = requests;

/** Sends one request over an open connection; resolves with its times once the last chunk of the answer is there. */
function ask(socket, number) {
  const body = JSON.stringify({
    model,
    messages: [{ role: 'user', content: `${number} ${'word '.repeat(100)}` }],
    max_tokens: tokens,
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true },
  });
  return new Promise((resolve, reject) => {
    const arrivals = [];
    let counted;
    let ended;
    let unread = '';
    const onData = (bytes) => {
      const now = performance.now();
      unread += bytes.toString('latin1');
      for (let at = unread.indexOf('\n'); at !== -1; at = unread.indexOf('\n')) {
        const line = unread.slice(0, at).trim();
        unread = unread.slice(at + 1);
        if (line.startsWith('HTTP/1.1') && !line.includes(' 200 ')) reject(new Error(line));
        else if (line === 'data: [DONE]') ended = now;
        else if (line.startsWith('data: ')) {
          const event = JSON.parse(line.slice(6));
          if (event.usage) counted = event.usage.completion_tokens;
          if (event.choices[0]?.delta.content) arrivals.push(now);
        } else if (line === '0' && ended !== undefined) {
          // The last chunk of the body: what follows is its empty end.
          socket.off('data', onData);
          socket.off('error', reject);
          const gaps = arrivals.slice(1).map((later, index) => later - arrivals[index]);
          return resolve({ ttft: arrivals[0] - began, gaps, e2e: ended - began, tokens: counted });
        }
      }
    };
    socket.on('data', onData);
    socket.once('error', reject);
    const head = [
      'POST /v1/chat/completions HTTP/1.1',
      `Host: ${hostname}`,
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
    ];
    const began = performance.now();
    socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  });
}

async function user() {
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  while (left > 0) {
    left -= 1;
    answers.push(await ask(socket, left));
  }
  socket.end();
}

await Promise.all(Array.from({ length: users }, user));
console.log(JSON.stringify(answers));
