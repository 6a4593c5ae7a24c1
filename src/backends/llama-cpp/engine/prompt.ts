/**
 * Makes the tokens of a prompt, and says what the answer to it is made of. Whole texts are tokenized wherever they
 * can be, so that the tokens are those that llama.cpp itself finds in the prompt.
 */

import { randomInt } from 'node:crypto';
import type { TokenizeRequest } from '../../../core/backend.ts';
import { ServingError } from '../../../core/errors.ts';
import type { Message, Tool } from '../../../core/generation.ts';
import type { ChatTemplate, Conversation } from './chat-template.ts';
import type { Model, Token } from './library.ts';
import { nativeModelOf } from './native.ts';
import { THINK_CLOSE, THINK_OPEN } from './reasoning-splitter.ts';
import type { ToolFormat } from './tools/tool-format.ts';
import { chunkedTokenize, type Tokenize, tokenBytes } from './vocabulary.ts';

/** What the answer begins with: never a thought, perhaps one, or the rest of one that the prompt has opened. */
export type ReasoningStart = 'none' | 'possible' | 'begun';

export interface EncodedPrompt {
  readonly tokens: Token[];
  readonly thought: ReasoningStart;
  /** The form in which the answer may call tools; absent: it has none to call. */
  readonly toolFormat?: ToolFormat;
}

export interface PromptEncoder {
  /** Throws a ServingError where the prompt is longer than any that fits. */
  encode(order: TokenizeRequest): EncodedPrompt;
}

/** `bytes` absent: prompts of any length are read. */
export function createPromptEncoder(
  model: Model,
  template: ChatTemplate,
  bytes?: PromptBytes,
): PromptEncoder {
  const tokenize = chunkedTokenize(model);
  const specialTokens = specialTokenPattern(model);
  const { bos, shouldPrependBosToken } = model.tokens;
  const begun = (tokens: Token[]): Token[] =>
    shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens;
  return {
    encode({ input, thinking, tools, addSpecial = true }) {
      if (input.kind === 'text') {
        if (bytes !== undefined) refuseTooLong(bytes, input.prompt, 'prompt');
        const tokens = tokenize(input.prompt, true);
        return { tokens: addSpecial ? begun(tokens) : tokens, thought: 'none' };
      }
      if (input.kind === 'tokens') return { tokens: [...input.tokens], thought: 'none' };
      // A model that may not call is told of no tools: one that is would call them in its text.
      const offered = tools === undefined || tools.choice === 'none' ? [] : tools.tools;
      const plain = new PlainText(tokenize, specialTokens);
      const conversation = {
        messages: input.messages.map((message) => plain.message(message)),
        tools: offered.map((tool) => plain.tool(tool)),
        ...(thinking !== undefined && { thinking }),
      };
      const text = input.continuesLast ? begunText(template, conversation) : template.render(conversation);
      if (bytes !== undefined) refuseTooLong(bytes, plain.putBack(text), 'messages');
      return {
        tokens: begun(plain.encode(text)),
        thought: template.thinks ? thoughtAfter(text, conversation, input.continuesLast) : 'none',
        ...(offered.length > 0 && { toolFormat: template.toolFormat }),
      };
    },
  };
}

/** The conversation up to the end of what its last message says: templates go on from there, and may trim what is at an end. */
function begunText(template: ChatTemplate, conversation: Conversation): string {
  const mark = randomMark();
  const messages = conversation.messages.map((message, index, { length }) =>
    index === length - 1 ? { ...message, content: message.content + mark } : message,
  );
  const text = template.render({ ...conversation, messages, continuesLast: true });
  const end = text.lastIndexOf(mark);
  if (end !== -1) return text.slice(0, end);
  throw new ServingError('unsupported_parameter', {
    message:
      'continue_final_message is not supported by this model: its chat template leaves out what the last message says. ' +
      'Leave it away, or use another model.',
    param: 'continue_final_message',
  });
}

function thoughtAfter(text: string, { messages }: Conversation, continuesLast?: true): ReasoningStart {
  const said = messages.at(-1)?.content ?? '';
  // What the client has begun is the answer already, unless it has begun a thought.
  if (continuesLast && said.trim() !== '')
    return said.lastIndexOf(THINK_OPEN) > said.lastIndexOf(THINK_CLOSE) ? 'begun' : 'none';
  const end = text.trimEnd();
  if (!end.endsWith(THINK_OPEN)) return 'possible';
  // Where nothing follows the last message, it may be the one that ends so.
  const last = messages.at(-1)?.content.trimEnd() ?? '';
  return last.endsWith(THINK_OPEN) && end.endsWith(last) ? 'possible' : 'begun';
}

/**
 * The longest text that can fit into a context, whatever its tokens are: longer ones are refused before they are
 * tokenized, which takes long. Loose, as most tokens are far shorter than the longest.
 */

/** Others may read a long text as one token: a word that they do not know, or white space. */
const EACH_BYTE_COUNTS: ReadonlySet<Model['vocabularyType']> = new Set(['bpe', 'spm']);

interface PromptBytes {
  readonly contextSize: number;
  /** Of all that the context holds. */
  readonly most: number;
}

export function promptBytes(model: Model, contextSize: number): PromptBytes {
  if (!EACH_BYTE_COUNTS.has(model.vocabularyType)) return { contextSize, most: Number.POSITIVE_INFINITY };
  const native = nativeModelOf(model);
  const bytesOf = tokenBytes(model);
  let longest = 1;
  for (const token of model.iterateAllTokens()) {
    // A token is written with at least as many bytes as it stands for; to count these takes longer.
    if (Buffer.byteLength(native.getTokenString(token)) > longest)
      longest = Math.max(longest, bytesOf(token).length);
  }
  return { contextSize, most: contextSize * longest };
}

function refuseTooLong({ contextSize, most }: PromptBytes, text: string, param: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes <= most) return;
  throw new ServingError('context_length_exceeded', {
    message:
      `The prompt has ${bytes} bytes, but the context holds ${contextSize} tokens, which are at most ${most} bytes, prompt ` +
      'and answer together: shorten the prompt, or have the server’s context_size raised.',
    param,
  });
}

/**
 * Keeps what somebody wrote plain text on its way through a template, whatever special tokens it spells out.
 * The text of such a token is taken out before, with a placeholder in its place, and put back as plain text after.
 * All else stays as it is, so that the template can look into it. Owns what it has taken out; one for each prompt.
 */

/** Digits alone: they come unchanged through anything a template does to text, JSON and upper case included. */
const KEY_DIGITS = 12;
const INDEX_DIGITS = 6;

class PlainText {
  readonly #tokenize: Tokenize;
  readonly #specialTokens: RegExp | undefined;
  readonly #taken: string[] = [];
  readonly #key = randomMark();

  /** `specialTokens`: as specialTokenPattern() gives it. */
  constructor(tokenize: Tokenize, specialTokens: RegExp | undefined) {
    this.#tokenize = tokenize;
    this.#specialTokens = specialTokens;
  }

  message(message: Message): Message {
    const content = this.text(message.content);
    if (message.role === 'tool' && message.toolCallId !== undefined)
      return { ...message, content, toolCallId: this.text(message.toolCallId) };
    if (message.role !== 'assistant') return { ...message, content };
    const { reasoning, toolCalls } = message;
    const calls = toolCalls?.map((call) => ({
      id: this.text(call.id),
      name: this.text(call.name),
      arguments: this.#json(call.arguments),
    }));
    return {
      role: 'assistant',
      content,
      ...(reasoning !== undefined && { reasoning: this.text(reasoning) }),
      ...(calls !== undefined && { toolCalls: calls }),
    };
  }

  tool(tool: Tool): Tool {
    return this.#value(tool) as Tool;
  }

  text(text: string): string {
    if (this.#specialTokens === undefined) return text;
    return text.replaceAll(this.#specialTokens, (special) => {
      const known = this.#taken.indexOf(special);
      const index = known === -1 ? this.#taken.push(special) - 1 : known;
      return this.#key + String(index).padStart(INDEX_DIGITS, '0');
    });
  }

  /** What a template made of it, as it was written. */
  putBack(text: string): string {
    if (this.#taken.length === 0) return text;
    return text.replaceAll(
      new RegExp(`${this.#key}(\\d{${INDEX_DIGITS}})`, 'g'),
      (placeholder, index: string) => this.#taken[Number(index)] ?? placeholder,
    );
  }

  /** The tokens of what a template made of it: the template's own special tokens are parsed, no others. */
  encode(rendered: string): Token[] {
    if (this.#specialTokens === undefined || this.#taken.length === 0) return this.#tokenize(rendered, true);
    const chunks: Token[][] = [];
    let parsed = '';
    // With a capturing group, split() gives plain text and special tokens in turn.
    for (const piece of rendered.split(this.#specialTokens)) {
      const plain = this.putBack(piece);
      if (plain === piece) {
        parsed += piece;
      } else {
        chunks.push(this.#tokenize(parsed, true), this.#tokenize(plain, false));
        parsed = '';
      }
    }
    chunks.push(this.#tokenize(parsed, true));
    return chunks.flat();
  }

  /** Escapes in JSON can spell out a token too; text without any stays as it is written. */
  #json(text: string): string {
    const plain = this.text(text);
    try {
      const value: unknown = JSON.parse(plain);
      const plainValue = JSON.stringify(this.#value(value));
      return plainValue === JSON.stringify(value) ? plain : plainValue;
    } catch {
      return plain;
    }
  }

  #value(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value);
    if (Array.isArray(value)) return value.map((item) => this.#value(item));
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => [this.text(key), this.#value(member)]),
    );
  }
}

/** Matches the text of any token that is parsed only where special tokens are wanted. */
function specialTokenPattern(model: Model): RegExp | undefined {
  const texts = new Set<string>();
  for (const token of model.iterateAllTokens()) {
    const { control, unknown } = model.getTokenAttributes(token);
    if (control || unknown) texts.add(model.detokenize([token], true));
  }
  texts.delete('');
  if (texts.size === 0) return undefined;
  const longestFirst = [...texts].sort((a, b) => b.length - a.length);
  const alternatives = longestFirst.map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`(${alternatives.join('|')})`, 'g');
}

/** A text that comes unchanged through any template, and stands nowhere else. */
function randomMark(): string {
  return randomDigits() + randomDigits();
}

function randomDigits(): string {
  return String(randomInt(10 ** KEY_DIGITS)).padStart(KEY_DIGITS, '0');
}
