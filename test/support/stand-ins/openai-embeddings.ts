/** What a server with the OpenAI API answers to /v1/embeddings. */
import { countTokens, vectorOf } from './stand-in-model.ts';
import type { Reply } from './stand-in-server.ts';

/** `refuse`: the answer to so many tokens where they are too many. */
export function embeddingsReply(
  { input, model }: Readonly<Record<string, unknown>>,
  refuse: (tokens: number) => Reply | undefined,
): Reply {
  const texts = input as string[];
  const counts = texts.map(countTokens);
  const refused = counts.map(refuse).find((reply) => reply !== undefined);
  if (refused !== undefined) return refused;
  const promptTokens = counts.reduce((sum, tokens) => sum + tokens, 0);
  // Last first: the order is told by `index` alone.
  const data = texts
    .map((text, index) => ({ object: 'embedding', index, embedding: vectorOf(text) }))
    .reverse();
  const usage = { prompt_tokens: promptTokens, total_tokens: promptTokens };
  return { status: 200, body: JSON.stringify({ object: 'list', model, data, usage }) };
}
