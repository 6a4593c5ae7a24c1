// Streams an answer of the native API with nothing but Node.
//   node examples/node/native-stream.mjs "Name three colours."
const url = process.env.SERVER_URL ?? 'http://localhost:8000';
const apiKey = process.env.API_KEY;
const prompt = process.argv[2] ?? 'Name three colours.';

const response = await fetch(`${url}/stream`, {
  method: 'POST',
  headers: { 'content-type': 'application/json', ...(apiKey && { authorization: `Bearer ${apiKey}` }) },
  body: JSON.stringify({ prompt, max_tokens: 64 }),
});
// Until the first token, every failure has its own HTTP status.
if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);

let finished = false;
for await (const data of events(response.body)) {
  if (data === '[DONE]') finished = true;
  else {
    const event = JSON.parse(data);
    if (event.token !== undefined) process.stdout.write(event.token);
    if (event.error !== undefined) throw new Error(event.error.message);
    if (event.finish_reason !== undefined)
      process.stdout.write(`\n(${event.finish_reason}, ${event.usage.completion_tokens} tokens)\n`);
  }
}
// A stream that ends without [DONE] was cut off.
if (!finished) throw new Error('the connection was lost');

/** The data of each server-sent event. Lines that begin with ":" are heartbeats. */
async function* events(body) {
  let rest = '';
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    for (const line of lines) if (line.startsWith('data: ')) yield line.slice('data: '.length);
  }
}
