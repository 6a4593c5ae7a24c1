/**
 * Makes the tokens of a prompt. Plain text is tokenized in the longest runs there are, so that the tokens are those
 * that llama.cpp itself finds in the whole prompt.
 */
import type { GenerationInput, ThinkingWish } from '../../../core/generation.ts';
import type { ChatTemplate, PromptPart } from './chat-template.ts';
import type { Model, Token } from './library.ts';
import { THOUGHT_BEGINS } from './reasoning-splitter.ts';

/** What the answer begins with: never a thought, perhaps one, or the rest of one that the prompt has opened. */
export type Thought = 'none' | 'possible' | 'begun';

export interface EncodedPrompt {
  readonly tokens: Token[];
  readonly thought: Thought;
}

export interface PromptEncoder {
  encode(input: GenerationInput, thinking: ThinkingWish): EncodedPrompt;
}

export function createPromptEncoder(model: Model, template: ChatTemplate): PromptEncoder {
  const controlTokens = controlTokenPattern(model);
  return {
    encode(input, thinking) {
      const parts = input.kind === 'chat' ? template.layOut(input.messages, thinking) : [];
      const tokens =
        input.kind === 'text'
          ? model.tokenize(input.prompt, true)
          : encodeParts(parts, { model, controlTokens });
      const { bos, shouldPrependBosToken } = model.tokens;
      if (shouldPrependBosToken && bos !== null && tokens[0] !== bos) tokens.unshift(bos);
      const thinks = input.kind === 'chat' && template.thinks;
      return { tokens, thought: thinks ? thoughtAfter(parts) : 'none' };
    },
  };
}

function thoughtAfter(parts: readonly PromptPart[]): Thought {
  const last = parts.findLast((part) => part.kind === 'builtin' || part.text !== '');
  return last?.kind === 'template' && last.text.trimEnd().endsWith(THOUGHT_BEGINS) ? 'begun' : 'possible';
}

interface Encoding {
  readonly model: Pick<Model, 'tokenize'>;
  readonly controlTokens: RegExp | undefined;
}

export function encodeParts(parts: readonly PromptPart[], { model, controlTokens }: Encoding): Token[] {
  const chunks: Token[][] = [];
  let plain = '';
  const endRun = () => {
    if (plain !== '') chunks.push(model.tokenize(plain, false));
    plain = '';
  };
  for (const part of parts) {
    if (part.kind === 'content') {
      plain += part.text;
    } else if (part.kind === 'builtin') {
      endRun();
      chunks.push(model.tokenize(part.token, 'builtin'));
    } else {
      // With a capturing group, split() gives plain text and control tokens in turn.
      const pieces = controlTokens === undefined ? [part.text] : part.text.split(controlTokens);
      pieces.forEach((piece, index) => {
        if (index % 2 === 0) {
          plain += piece;
        } else {
          endRun();
          chunks.push(model.tokenize(piece, true));
        }
      });
    }
  }
  endRun();
  return chunks.flat();
}

/** Matches the text of any token that is parsed only where special tokens are wanted. */
function controlTokenPattern(model: Model): RegExp | undefined {
  const texts = new Set<string>();
  for (const token of model.iterateAllTokens()) {
    const { control, unknown } = model.getTokenAttributes(token);
    if (control || unknown) texts.add(model.detokenize([token], true));
  }
  texts.delete('');
  if (texts.size === 0) return undefined;
  const longestFirst = [...texts].sort((a, b) => b.length - a.length);
  return new RegExp(`(${longestFirst.map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|')})`);
}
