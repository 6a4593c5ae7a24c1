// The same request in every protocol that streams.
const chat = (content) => [{ role: 'user', content }];

export const PROTOCOLS = {
  native: {
    path: '/stream',
    body: (content, tokens) => ({ prompt: content, max_tokens: tokens }),
  },
  'openai chat': {
    path: '/v1/chat/completions',
    body: (content, tokens) => ({
      model: 'bench',
      messages: chat(content),
      max_tokens: tokens,
      stream: true,
      stream_options: { include_usage: true },
    }),
  },
  'openai responses': {
    path: '/v1/responses',
    body: (content, tokens) => ({ model: 'bench', input: content, max_output_tokens: tokens, stream: true }),
  },
  anthropic: {
    path: '/v1/messages',
    body: (content, tokens) => ({
      model: 'bench',
      messages: chat(content),
      max_tokens: tokens,
      stream: true,
    }),
  },
  ollama: {
    path: '/api/chat',
    body: (content, tokens) => ({
      model: 'bench',
      messages: chat(content),
      options: { num_predict: tokens },
    }),
  },
};

/** What the bound forwards as it is. */
export const FORWARDED = PROTOCOLS['openai chat'];
