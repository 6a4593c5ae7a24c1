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
  /** The same at the same target, where the answer begins with these tokens: their events are compared with what was sent. */
  | { readonly mode: 'replay'; readonly tokens: readonly number[] }
  /**
   * Another request: its answer is what follows, and begins with `overlap`, which was sent already: blanks at the end of a message, which
   * many chat templates cut off. `tokens`: of what was sent without the overlap.
   */
  | {
      readonly mode: 'continue';
      readonly request: GenerationRequest;
      readonly overlap: string;
      readonly tokens: number;
    }
  /** It has all the tokens that it may have. */
  | { readonly mode: 'complete' }
  | { readonly mode: 'cannot'; readonly reason: string };

/** Why no answer to it can go on; undefined: it may, if what was sent is kept. */
export function whyNeverResumed(request: GenerationRequest): string | undefined {
  if (isDeterministic(request)) return undefined;
  const { tools, output, logprobs, extras, input } = request;
  if (tools !== undefined) return 'it is sampled, and it has tools';
  if (output !== undefined || hasOutputExtra(extras))
    return 'it is sampled, and its format constrains the answer from the beginning';
  if (logprobs !== undefined) return 'it is sampled, and it has log-probabilities';
  return input.kind === 'tokens' ? 'it is sampled, and its prompt is token ids' : undefined;
}

export interface BrokenAnswer {
  /** As the backend was asked. */
  readonly request: GenerationRequest;
  readonly sent: Pick<Transcript, 'isWhole' | 'textAlone'>;
  /** Tokens of what was sent; an estimate where the backend did not count. */
  readonly sentTokens: number;
  /** All tokens of what was sent, where they are known and the target that has them will be asked. */
  readonly known?: readonly number[] | undefined;
}

export function decideResumption({ request, sent, sentTokens, known }: BrokenAnswer): Resumption {
  if (!sent.isWhole) return cannot('the answer is too long to be kept');
  if (known !== undefined && known.length > 0) {
    const isAtLimit = known.length >= (request.limits.maxTokens ?? Number.POSITIVE_INFINITY);
    return isAtLimit ? { mode: 'complete' } : { mode: 'replay', tokens: known };
  }
  if (isDeterministic(request)) return { mode: 'regenerate' };
  const reason = whyNeverResumed(request);
  if (reason !== undefined) return cannot(reason);
  const text = sent.textAlone;
  if (text === undefined) return cannot('it is sampled, and more than text was sent');
  const { input } = request;
  if (input.kind === 'tokens') return cannot('it is sampled, and its prompt is token ids');
  const { maxTokens, minTokens } = request.limits;
  if (maxTokens !== undefined && sentTokens >= maxTokens) return { mode: 'complete' };
  const kept = input.kind === 'text' ? text : text.trimEnd();
  const overlap = text.slice(kept.length);
  const tokens = overlap === '' ? sentTokens : Math.max(0, sentTokens - 1);
  // The answer has begun, so what comes before an answer is over.
  const { thinking: _, ...others } = request;
  const limits = {
    ...request.limits,
    ...(maxTokens !== undefined && { maxTokens: maxTokens - tokens }),
    ...(minTokens !== undefined && { minTokens: Math.max(0, minTokens - tokens) }),
  };
  const next = kept === '' ? request : { ...others, input: continued(input, kept), limits };
  return { mode: 'continue', request: next, overlap, tokens };
}

/** Generated twice it is the same, as far as its server is deterministic. */
function isDeterministic({ sampling: { temperature, topK, seed } }: GenerationRequest): boolean {
  return temperature === 0 || topK === 1 || seed !== undefined;
}

function hasOutputExtra(extras: GenerationRequest['extras']): boolean {
  return extras !== undefined && OUTPUT_EXTRAS.some((name) => Object.hasOwn(extras, name));
}

function continued(input: Exclude<GenerationInput, { kind: 'tokens' }>, text: string): GenerationInput {
  if (input.kind === 'text') return { kind: 'text', prompt: input.prompt + text };
  return { kind: 'chat', messages: continuedMessages(input, text), continuesLast: true };
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
