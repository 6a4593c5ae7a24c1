/** The answers of text completions: the whole body, and the chunks of a stream, with the same id and time in each. */
import { Type } from 'typebox';
import type {
  GenerationEvent,
  GenerationRequest,
  GenerationResult,
  LikelyToken,
  TokenLogprob,
  Usage,
} from '../../../core/generation.ts';
import type { AnswerRenderer, StreamEncoder } from '../../protocol.ts';
import {
  finiteLogprob,
  nullable,
  SSE,
  SSE_HEARTBEAT,
  sseEvent,
  TimingsSchema,
  tokenText,
} from '../../rendering.ts';
import {
  type ChunkEncoder,
  chunkEncoder,
  completionHead,
  finishReason,
  headFields,
  renderUsage,
  UsageSchema,
} from '../completion-object.ts';
import { OpenAiError, openAiError } from '../errors.ts';

const TokenLogprobs = Type.Object(
  {
    tokens: Type.Array(Type.String({ description: 'U+FFFD for bytes that are no character by themselves.' })),
    token_logprobs: Type.Array(Type.Number({ maximum: 0 })),
    top_logprobs: Type.Array(
      Type.Record(Type.String(), Type.Number({ maximum: 0 }), {
        description: 'The likeliest tokens, and the chosen one.',
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
      description: 'Empty in the chunk that has the usage.',
    }),
    usage: Type.Optional(nullable(UsageSchema)),
    timings: Type.Optional(TimingsSchema),
  }),
  OpenAiError,
]);

interface CompletionOptions {
  /** A stream has a chunk with the usage. */
  readonly includeUsage: boolean;
  readonly choicesPerPrompt: number;
  /** The prompt stands in front of the text. */
  readonly echo: boolean;
}

const OBJECT = { prefix: 'cmpl', object: 'text_completion' } as const;

export function completionRenderer(
  requests: readonly GenerationRequest[],
  options: CompletionOptions,
): AnswerRenderer {
  /** What is echoed in front of each choice's text. */
  const prompts = requests.map(({ input }) => (options.echo && input.kind === 'text' ? input.prompt : ''));
  const wantsLogprobs = requests[0]?.logprobs !== undefined;
  return {
    whole: (results, answer) =>
      Object.assign(completionHead(requests, OBJECT, answer), {
        choices: results.map(({ text, logprobs, finishReason }: GenerationResult, index) => ({
          index,
          text: prompts[index] + text,
          logprobs: wantsLogprobs ? new TokenLists().render(logprobs) : null,
          finish_reason: finishReason,
        })),
        usage: renderUsage(
          results.map(({ usage }) => usage),
          options.choicesPerPrompt,
        ),
      }),
    stream: (answer) => {
      const lists = wantsLogprobs ? requests.map(() => new TokenLists()) : [];
      const chunks = chunkEncoder(() => completionHead(requests, OBJECT, answer), {
        includeUsage: options.includeUsage,
        choices: requests.length,
        choicesPerPrompt: options.choicesPerPrompt,
        timings: answer.timings,
      });
      return completionStream(chunks, prompts, lists);
    },
  };
}

/** The rest of a choice after its text. */
const UNFINISHED = ',"logprobs":null,"finish_reason":null}';

/** `prompts`: what each choice begins with; `lists`: of each choice, empty where no log-probabilities are shown. */
function completionStream(
  { chunk, finish, end }: ChunkEncoder,
  prompts: readonly string[],
  lists: readonly TokenLists[],
): StreamEncoder {
  const hasBegun: boolean[] = [];
  const usages: Usage[] = [];
  const choiceOf = (choice: number, text: string, rest: string) =>
    `{"index":${choice},"text":${JSON.stringify(text)}${rest}`;
  const encodeEvent = (event: GenerationEvent, choice: number): string | undefined => {
    if (event.type === 'text') {
      const logprobs = lists[choice]?.render(event.logprobs ?? []);
      if (logprobs === undefined) return chunk(choiceOf(choice, event.text, UNFINISHED));
      const rest = `,"logprobs":${JSON.stringify(logprobs)},"finish_reason":null}`;
      return chunk(choiceOf(choice, event.text, rest));
    }
    if (event.type !== 'finish') return undefined;
    usages[choice] = event.usage;
    return finish(choiceOf(choice, '', `,"logprobs":null,"finish_reason":"${event.reason}"}`));
  };
  return {
    contentType: SSE,
    encode: (event, choice) => {
      const written = encodeEvent(event, choice);
      if (written === undefined) return undefined;
      const prompt = hasBegun[choice] ? '' : (prompts[choice] ?? '');
      hasBegun[choice] = true;
      const echoed = prompt === '' ? '' : chunk(choiceOf(choice, prompt, UNFINISHED));
      return echoed + written || undefined;
    },
    end: () => end(usages),
    error: (error) => sseEvent(openAiError(error)),
    heartbeat: () => SSE_HEARTBEAT,
  };
}

/** Log-probabilities in the four lists of text completions. Owned by one choice: offsets go on from chunk to chunk. */
class TokenLists {
  /** A character may be spread over tokens: it counts with its last. */
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #offset = 0;

  render(logprobs: readonly TokenLogprob[]) {
    return {
      tokens: logprobs.map(tokenText),
      token_logprobs: logprobs.map(finiteLogprob),
      top_logprobs: logprobs.map((token) => likeliest([...token.top, token])),
      text_offset: logprobs.map((token) => this.#offsetOf(token)),
    };
  }

  #offsetOf({ bytes }: LikelyToken): number {
    const offset = this.#offset;
    const characters = this.#decoder.decode(Uint8Array.from(bytes), { stream: true });
    // As the API counts: by characters, not by units of UTF-16.
    for (const _ of characters) this.#offset += 1;
    return offset;
  }
}

/** Of tokens that show the same text the first, the likeliest, is kept. */
function likeliest(tokens: readonly LikelyToken[]): Record<string, number> {
  return Object.fromEntries(
    tokens.toReversed().map((token) => [tokenText(token), finiteLogprob(token)] as const),
  );
}
