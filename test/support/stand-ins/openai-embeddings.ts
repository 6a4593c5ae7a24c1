/** What a server with the OpenAI API answers to /v1/embeddings. */
import { countTokens, vectorOf } from './stand-in-model.ts';
import type { Reply } from './stand-in-server.ts';

/** Words are not read where tokens are given. `cuts`: the server reads `dimensions`. `refuse`: the answer to so many tokens where they are too many. */
export function embeddingsReply(
  { input, model, dimensions, encoding_format }: Readonly<Record<string, unknown>>,
  {
    cuts,
    length,
    refuse,
  }: {
    readonly cuts: boolean;
    readonly length: number | undefined;
    readonly refuse: (tokens: number) => Reply | undefined;
  },
): Reply {
  const texts = input as (string | number[])[];
  const counts = texts.map((text) => (typeof text === 'string' ? countTokens(text) : text.length));
  const refused = counts.map(refuse).find((reply) => reply !== undefined);
  if (refused !== undefined) return refused;
  const promptTokens = counts.reduce((sum, tokens) => sum + tokens, 0);
  // Last first: the order is told by `index` alone.
  const data = texts
    .map((text, index) => {
      const vector = vectorOf(String(text), length);
      const cut = cuts && typeof dimensions === 'number' ? vector.slice(0, dimensions) : vector;
      const embedding =
        encoding_format === 'base64' ? Buffer.from(new Float32Array(cut).buffer).toString('base64') : cut;
      return { object: 'embedding', index, embedding };
    })
    .reverse();
  const usage = { prompt_tokens: promptTokens, total_tokens: promptTokens };
  return { status: 200, body: JSON.stringify({ object: 'list', model, data, usage }) };
}
