/** Text completions: the whole body, and the chunks of a stream. The same id and time everywhere. */
import type { GenerationEvent, GenerationRequest } from '../../../core/generation.ts';
import type { GenerationResult } from '../../../core/generation-result.ts';
import type { Usage } from '../../../core/usage.ts';
import type { AnswerContext, AnswerRenderer, StreamEncoder } from '../../generation-route.ts';
import { eventLines, SSE, SSE_HEARTBEAT } from '../../server-sent-events.ts';
import { answerHead, chunkFrame } from '../answer-head.ts';
import { openAiError } from '../errors.ts';
import { renderUsage } from '../usage.ts';
import { TokenLists } from './logprobs.ts';

interface CompletionAnswer {
  readonly includeUsage: boolean;
  readonly answersPerPrompt: number;
  /** The prompt stands in front of the text. */
  readonly echo: boolean;
}

const FORM = { prefix: 'cmpl', object: 'text_completion' } as const;

export function completionRenderer(
  requests: readonly GenerationRequest[],
  options: CompletionAnswer,
): AnswerRenderer {
  const promptOf = (choice: number) => {
    const input = requests[choice]?.input;
    return options.echo && input?.kind === 'text' ? input.prompt : '';
  };
  const wantsLogprobs = requests[0]?.logprobs !== undefined;
  return {
    whole: (results, answer) =>
      Object.assign(answerHead(requests, FORM, answer), {
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
  readonly options: CompletionAnswer;
  readonly promptOf: (choice: number) => string;
  readonly wantsLogprobs: boolean;
  readonly answer: AnswerContext;
}

function streamOf({ requests, options, promptOf, wantsLogprobs, answer }: Streaming): StreamEncoder {
  const frame = chunkFrame(answerHead(requests, FORM, answer), options);
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
    error: (error) => eventLines(openAiError(error)),
    heartbeat: () => SSE_HEARTBEAT,
  };
}

/** The choice of one chunk, up to its text. */
function textOf(choice: number, text: string): string {
  return `{"index":${choice},"text":${JSON.stringify(text)}`;
}
