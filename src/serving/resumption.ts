/**
 * How an answer goes on after its backend failed in the middle of it. Pure. Exact or not at all: a deterministic request is generated
 * again and compared, a sampled one is continued from its text if that is all there is to continue from.
 */
import { OUTPUT_EXTRAS } from '../core/features.ts';
import type { GenerationInput, GenerationRequest, Message } from '../core/generation.ts';
import type { Transcript } from './resume-matcher.ts';

export type Resumption =
  /** The request as it was; its answer is compared with what was sent. */
  | { readonly mode: 'regenerate' }
  /** Another request: its answer is what follows. */
  | { readonly mode: 'continue'; readonly request: GenerationRequest }
  /** It has all the tokens that it may have. */
  | { readonly mode: 'complete' }
  | { readonly mode: 'cannot'; readonly reason: string };

interface BrokenAnswer {
  /** As the backend was asked. */
  readonly request: GenerationRequest;
  readonly sent: Pick<Transcript, 'isWhole' | 'textAlone'>;
  /** Tokens of what was sent; an estimate where the backend did not count. */
  readonly sentTokens: number;
}

export function decideResumption({ request, sent, sentTokens }: BrokenAnswer): Resumption {
  if (!sent.isWhole) return cannot('the answer is too long to be kept');
  if (isDeterministic(request)) return { mode: 'regenerate' };
  const reason = whyNotContinued(request);
  if (reason !== undefined) return cannot(`it is sampled, and ${reason}`);
  const text = sent.textAlone;
  if (text === undefined) return cannot('it is sampled, and more than text was sent');
  const input = continued(request.input, text);
  if (input === undefined) return cannot('it is sampled, and its prompt is token ids');
  const { maxTokens, minTokens } = request.limits;
  if (maxTokens !== undefined && sentTokens >= maxTokens) return { mode: 'complete' };
  // The answer has begun, so what comes before an answer is over.
  const { thinking: _, ...others } = request;
  const limits = {
    ...request.limits,
    ...(maxTokens !== undefined && { maxTokens: maxTokens - sentTokens }),
    ...(minTokens !== undefined && { minTokens: Math.max(0, minTokens - sentTokens) }),
  };
  return { mode: 'continue', request: { ...others, input, limits } };
}

/** Generated twice it is the same, as far as its server is deterministic. */
function isDeterministic({ sampling: { temperature, topK, seed } }: GenerationRequest): boolean {
  return temperature === 0 || topK === 1 || seed !== undefined;
}

/** What a continuation of the text would not know of. */
function whyNotContinued({ tools, output, logprobs, extras }: GenerationRequest): string | undefined {
  if (tools !== undefined) return 'it has tools';
  if (output !== undefined) return 'its format constrains the answer from the beginning';
  if (logprobs !== undefined) return 'it has log-probabilities';
  if (extras !== undefined && OUTPUT_EXTRAS.some((name) => Object.hasOwn(extras, name)))
    return 'its format constrains the answer from the beginning';
  return undefined;
}

function continued(input: GenerationInput, text: string): GenerationInput | undefined {
  switch (input.kind) {
    case 'text':
      return { kind: 'text', prompt: input.prompt + text };
    case 'chat':
      return { kind: 'chat', messages: continuedMessages(input, text), continuesLast: true };
    case 'tokens':
      return undefined;
    default:
      return input satisfies never;
  }
}

function continuedMessages(
  { messages, continuesLast }: Extract<GenerationInput, { kind: 'chat' }>,
  text: string,
): readonly Message[] {
  const last = messages.at(-1);
  if (!continuesLast || last?.role !== 'assistant')
    return [...messages, { role: 'assistant', content: text }];
  return [...messages.slice(0, -1), { ...last, content: last.content + text }];
}

function cannot(reason: string): Resumption {
  return { mode: 'cannot', reason };
}
