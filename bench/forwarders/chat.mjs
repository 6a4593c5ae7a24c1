// What both bare forwarders do with a request and its answer: the same translation, nothing else.
export const CHAT_PATH = '/v1/chat/completions';
export const HEADERS = { accept: '*/*', 'content-type': 'application/json' };

export function chatBody({ prompt, max_tokens, temperature }) {
  return JSON.stringify({
    model: 'bench',
    stream: true,
    stream_options: { include_usage: true },
    temperature,
    max_tokens,
    messages: [{ role: 'user', content: prompt }],
  });
}

/** Adds one line of the answer's events to `answer`, which has its `text` and, in the end, its `usage`. */
export function readLine(line, answer) {
  if (!line.startsWith('data: {')) return;
  const chunk = JSON.parse(line.slice('data: '.length));
  answer.text += chunk.choices[0]?.delta.content ?? '';
  answer.usage = chunk.usage ?? answer.usage;
}
