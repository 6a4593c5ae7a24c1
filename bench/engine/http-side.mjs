// A side of the engine benchmark that speaks HTTP: waves of requests, whole or streamed, with the time of every token.
import { Agent, request } from 'undici';

export function openHttpSide({ url, stop, whole, stream, body, promptOf }) {
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  const post = (path, value, signal) =>
    request(`${url}${path}`, {
      dispatcher: agent,
      method: 'POST',
      // llama-server closes idle connections without notice.
      reset: true,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(value),
      ...(signal && { signal }),
    });

  async function generate({ prompt, tokens }) {
    const { statusCode, body: read } = await post(whole.path, body({ prompt, tokens, streams: false }));
    const answer = await read.json();
    if (statusCode !== 200)
      throw new Error(`${whole.path} answered ${statusCode}: ${JSON.stringify(answer)}`);
    return { tokens: whole.countOf(answer) };
  }

  /** Calls `onToken` with its time and its data as each comes; ends with what the prompt cost. */
  async function streamOne({ prompt, tokens, onToken, signal }) {
    const { statusCode, body: read } = await post(
      stream.path,
      body({ prompt, tokens, streams: true }),
      signal,
    );
    if (statusCode !== 200) throw new Error(`${stream.path} answered ${statusCode}: ${await read.text()}`);
    let rest = '';
    let last = '';
    for await (const chunk of read) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith('data: ') || line === 'data: [DONE]') continue;
        last = line.slice('data: '.length);
        if (stream.isToken(last)) onToken(performance.now(), last);
      }
    }
    return promptOf(JSON.parse(last));
  }

  async function streamed(call) {
    let firstTokenMs;
    await streamOne({
      ...call,
      onToken: (at) => {
        firstTokenMs ??= at - call.startedAt;
      },
    });
    return { firstTokenMs };
  }

  return {
    generate: (wave) => together(wave, generate),
    stream: (wave) => together(wave, streamed),
    streamOne,
    textOf: stream.textOf,
    stop: async () => {
      await agent.destroy();
      await stop();
    },
  };
}

async function together({ prompts, tokens }, call) {
  const startedAt = performance.now();
  const answers = await Promise.all(prompts.map((prompt) => call({ prompt, tokens, startedAt })));
  return { seconds: (performance.now() - startedAt) / 1000, answers };
}
