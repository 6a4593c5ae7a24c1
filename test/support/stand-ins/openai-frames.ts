/** The choices of a streamed answer, one for each token or piece of a call, in the ways of the played servers. */
import type { PlayedCall } from './openai-forms.ts';
import { chatLogprobs, completionLogprobs, type PlayedVocabulary } from './openai-vocabulary.ts';
import { piecesOf } from './schema-instance.ts';

type Body = Readonly<Record<string, unknown>>;
export type Choice = Readonly<Record<string, unknown>>;

/** vllm: head and pieces apart; llama-server: the head with empty arguments; generic: all at once, without an id. */
export function callChoices(calls: readonly PlayedCall[], server: string): Choice[] {
  const delta = (call: Record<string, unknown>) => ({ delta: { content: null, tool_calls: [call] } });
  return calls.flatMap(({ id, name, arguments: text }, index) => {
    if (server === 'generic')
      return [delta({ index, type: 'function', function: { name, arguments: text } })];
    const head = server === 'vllm' ? { name } : { name, arguments: '' };
    const pieces = piecesOf(text).map((piece) => delta({ index, function: { arguments: piece } }));
    return [delta({ id, type: 'function', index, function: head }), ...pieces];
  });
}

/** Log-probabilities only where they are asked for, as the server and the route tell them. */
export function textChoices(
  tokens: readonly string[],
  asked: {
    readonly body: Body;
    readonly chat: boolean;
    readonly server: string;
    readonly vocabulary: PlayedVocabulary;
  },
): Choice[] {
  const { body, chat, server, vocabulary } = asked;
  return tokens.map((text) => {
    const said = chat ? { delta: { content: text } } : { text };
    if (server === 'llama-server') {
      const top = Number((chat ? body.logprobs && body.top_logprobs : body.n_probs) ?? 0);
      const idOf = (word: string) => vocabulary.tokenOf(word);
      return top > 0 ? { ...said, logprobs: chatLogprobs(text, top, idOf) } : said;
    }
    if (chat) {
      const top = Number(body.top_logprobs ?? 0);
      return body.logprobs === true ? { ...said, logprobs: chatLogprobs(text, top) } : said;
    }
    return typeof body.logprobs === 'number'
      ? { ...said, logprobs: completionLogprobs(text, body.logprobs) }
      : said;
  });
}
