/** What /v1/completions answers: whole bodies and chunks have the same shape. */

import { type TSchema, Type } from 'typebox';
import type {
  GenerationEvent,
  GenerationRequest,
  GenerationResult,
  LikelyToken,
  TokenLogprob,
  Usage,
} from '../../../core/generation.ts';
import type { AnswerContext, AnswerRenderer, StreamEncoder } from '../../protocol.ts';
import { finiteLogprob, SSE, SSE_HEARTBEAT, sseEvent, tokenText } from '../../rendering.ts';
import {
  chunkEncoder,
  completionHead,
  finishReason,
  headFields,
  renderUsage,
  UsageSchema,
} from '../completion-object.ts';
import { OpenAiError, openAiError } from '../errors.ts';

const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);

const TokenLogprobs = Type.Object(
  {
    tokens: Type.Array(Type.String({ description: 'U+FFFD for bytes that are no character by themselves.' })),
    token_logprobs: Type.Array(Type.Number({ maximum: 0 })),
    top_logprobs: Type.Array(
      Type.Record(Type.String(), Type.Number({ maximum: 0 }), {
        description: 'The likeliest tokens, and the one that was taken.',
      }),
    ),
    text_offset: Type.Array(
      Type.Integer({ minimum: 0, description: 'Characters of the text before the token.' }),
    ),
  },
  { description: 'One entry in each list for each token of the text.' },
);

const choiceFields = {
  index: Type.Integer({ minimum: 0, description: 'All answers to the first prompt, then all to the next.' }),
  text: Type.String(),
  logprobs: nullable(TokenLogprobs),
};

const bodyFields = { ...headFields, object: Type.Literal('text_completion') };

export const Completion = Type.Object({
  ...bodyFields,
  choices: Type.Array(Type.Object({ ...choiceFields, finish_reason: finishReason }), { minItems: 1 }),
  usage: UsageSchema,
});

/** The `data:` of one event. */
export const CompletionChunk = Type.Union([
  Type.Object({
    ...bodyFields,
    choices: Type.Array(Type.Object({ ...choiceFields, finish_reason: nullable(finishReason) }), {
      maxItems: 1,
      description: 'Empty in the chunk that tells the usage.',
    }),
    usage: Type.Optional(nullable(UsageSchema)),
  }),
  OpenAiError,
]);

/** Log-probabilities in the four lists of text completions. Owned by one choice: places in the text go on from chunk to chunk. */

class TokenLists {
  /** A character may be spread over tokens: it counts with its last. */
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #offset = 0;

  render(logprobs: readonly TokenLogprob[]) {
    return {
      tokens: logprobs.map(tokenText),
      token_logprobs: logprobs.map(finiteLogprob),
      top_logprobs: logprobs.map((token) => likeliest([...token.top, token])),
      text_offset: logprobs.map((token) => this.#place(token)),
    };
  }

  #place({ bytes }: LikelyToken): number {
    const offset = this.#offset;
    const characters = this.#decoder.decode(Uint8Array.from(bytes), { stream: true });
    // As the API counts: by characters, not by units of UTF-16.
    for (const _ of characters) this.#offset += 1;
    return offset;
  }
}

/** The first of those that show the same text is the likeliest. */
function likeliest(tokens: readonly LikelyToken[]): Record<string, number> {
  return Object.fromEntries(
    tokens.toReversed().map((token) => [tokenText(token), finiteLogprob(token)] as const),
  );
}

/** Text completions: the whole body, and the chunks of a stream. The same id and time everywhere. */

interface CompletionRenderOptions {
  readonly includeUsage: boolean;
  readonly answersPerPrompt: number;
  /** The prompt stands in front of the text. */
  readonly echo: boolean;
}

const COMPLETION = { prefix: 'cmpl', object: 'text_completion' } as const;

export function completionRenderer(
  requests: readonly GenerationRequest[],
  options: CompletionRenderOptions,
): AnswerRenderer {
  const promptOf = (choice: number) => {
    const input = requests[choice]?.input;
    return options.echo && input?.kind === 'text' ? input.prompt : '';
  };
  const wantsLogprobs = requests[0]?.logprobs !== undefined;
  return {
    whole: (results, answer) =>
      Object.assign(completionHead(requests, COMPLETION, answer), {
        choices: results.map((result, index) => renderChoice(result, index, promptOf(index), wantsLogprobs)),
        usage: renderUsage(
          results.map(({ usage }) => usage),
          options.answersPerPrompt,
        ),
      }),
    stream: (answer) => streamOf({ requests, options, promptOf, wantsLogprobs, answer }),
  };
}

function renderChoice(
  { text, logprobs, finishReason }: GenerationResult,
  index: number,
  prompt: string,
  wantsLogprobs: boolean,
) {
  return {
    index,
    text: prompt + text,
    logprobs: wantsLogprobs ? new TokenLists().render(logprobs) : null,
    finish_reason: finishReason,
  };
}

interface Streaming {
  readonly requests: readonly GenerationRequest[];
  readonly options: CompletionRenderOptions;
  readonly promptOf: (choice: number) => string;
  readonly wantsLogprobs: boolean;
  readonly answer: AnswerContext;
}

function streamOf({ requests, options, promptOf, wantsLogprobs, answer }: Streaming): StreamEncoder {
  const frame = chunkEncoder(completionHead(requests, COMPLETION, answer), options);
  const lists = wantsLogprobs ? requests.map(() => new TokenLists()) : [];
  const begun = new Set<number>();
  const usages: Usage[] = [];
  /** With the first event of a choice, where the prompt is to be echoed. */
  const echo = (choice: number) => {
    if (begun.has(choice)) return '';
    begun.add(choice);
    const prompt = promptOf(choice);
    return prompt === ''
      ? ''
      : frame.chunk(`${textOf(choice, prompt)},"logprobs":null,"finish_reason":null}`);
  };
  const chunkOf = (event: GenerationEvent, choice: number): string | undefined => {
    if (event.type === 'text') {
      const logprobs = lists[choice]?.render(event.logprobs ?? []);
      const shown = logprobs === undefined ? 'null' : JSON.stringify(logprobs);
      return frame.chunk(`${textOf(choice, event.text)},"logprobs":${shown},"finish_reason":null}`);
    }
    if (event.type !== 'finish') return undefined;
    usages[choice] = event.usage;
    return frame.chunk(`${textOf(choice, '')},"logprobs":null,"finish_reason":"${event.reason}"}`);
  };
  return {
    contentType: SSE,
    encode: (event, choice) => {
      const chunk = chunkOf(event, choice);
      return chunk === undefined ? undefined : echo(choice) + chunk;
    },
    end: () => frame.end(usages),
    error: (error) => sseEvent(openAiError(error)),
    heartbeat: () => SSE_HEARTBEAT,
  };
}

/** The choice of one chunk, up to its text. */
function textOf(choice: number, text: string): string {
  return `{"index":${choice},"text":${JSON.stringify(text)}`;
}
