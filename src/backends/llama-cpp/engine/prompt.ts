/**
 * Makes the tokens of a prompt, and says what the answer to it can contain. Texts are tokenized whole where possible, so
 * that the tokens are those that llama.cpp itself finds in the prompt.
 */
import { randomInt } from 'node:crypto';
import type { TokenizeRequest } from '../../../core/backend.ts';
import { ServingError } from '../../../core/errors.ts';
import type { Message, Tool } from '../../../core/generation.ts';
import type { ChatTemplate, Conversation } from './chat-template.ts';
import { type Model, nativeModelOf, type Token } from './library.ts';
import { type ReasoningStart, THINK_CLOSE, THINK_OPEN } from './reasoning-splitter.ts';
import type { ToolSyntax } from './tools/tool-syntax.ts';
import { chunkedTokenize, type Tokenize, tokenBytes } from './vocabulary.ts';

export interface EncodedPrompt {
  readonly tokens: Token[];
  readonly reasoning: ReasoningStart;
  /** The model thinks or not, whatever the request says. */
  readonly ignoresThinkOff?: true;
  /** How the answer may call tools; absent: there are none to call. */
  readonly toolSyntax?: ToolSyntax;
}

export interface PromptEncoder {
  /** Throws a ServingError if the prompt is longer than any that fits. */
  encode(request: TokenizeRequest): EncodedPrompt;
}

/** `limit` absent: prompts of any length are read. */
export function createPromptEncoder(
  model: Model,
  template: ChatTemplate,
  limit?: PromptLimit,
): PromptEncoder {
  const tokenize = chunkedTokenize(model);
  const specialTokens = specialTokenPattern(model);
  const { bos, shouldPrependBosToken } = model.tokens;
  const withBos = (tokens: Token[]): Token[] =>
    shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens;
  return {
    encode({ input, thinking, tools, addSpecial = true }) {
      if (input.kind === 'text') {
        if (limit !== undefined) rejectTooLong(limit, input.prompt, 'prompt');
        const tokens = tokenize(input.prompt, true);
        return { tokens: addSpecial ? withBos(tokens) : tokens, reasoning: 'none' };
      }
      if (input.kind === 'tokens') return { tokens: [...input.tokens], reasoning: 'none' };
      // A model that may not call tools does not see them: otherwise it would call them in its text.
      const offered = tools === undefined || tools.choice === 'none' ? [] : tools.tools;
      const plain = new PlainText(tokenize, specialTokens);
      const conversation = {
        messages: input.messages.map((message) => plain.message(message)),
        tools: offered.map((tool) => plain.tool(tool)),
        ...(thinking !== undefined && { thinking }),
      };
      const text = input.continuesLast
        ? renderUnfinished(template, conversation)
        : template.render(conversation);
      if (limit !== undefined) rejectTooLong(limit, plain.restore(text), 'messages');
      return {
        tokens: withBos(plain.encode(text)),
        reasoning: template.supportsReasoning
          ? reasoningAfter(text, conversation, input.continuesLast)
          : 'none',
        ...(template.supportsReasoning && !template.switchesReasoning && { ignoresThinkOff: true }),
        ...(offered.length > 0 && { toolSyntax: template.toolSyntax }),
      };
    },
  };
}

/** The conversation up to the end of its last message’s content, after which templates go on, and which they may trim. */
function renderUnfinished(template: ChatTemplate, conversation: Conversation): string {
  const mark = randomMark();
  const messages = conversation.messages.map((message, index, { length }) =>
    index === length - 1 ? { ...message, content: message.content + mark } : message,
  );
  const text = template.render({ ...conversation, messages, continuesLast: true });
  const end = text.lastIndexOf(mark);
  if (end !== -1) return text.slice(0, end);
  throw new ServingError('unsupported_parameter', {
    message:
      'continue_final_message is not supported by this model: its chat template omits the content of the last message. ' +
      'Remove it, or use another model.',
    param: 'continue_final_message',
  });
}

function reasoningAfter(text: string, { messages }: Conversation, continuesLast?: true): ReasoningStart {
  const content = messages.at(-1)?.content ?? '';
  // What the client has begun is the answer itself, unless it has begun reasoning.
  if (continuesLast && content.trim() !== '')
    return content.lastIndexOf(THINK_OPEN) > content.lastIndexOf(THINK_CLOSE) ? 'begun' : 'none';
  const end = text.trimEnd();
  if (!end.endsWith(THINK_OPEN)) return 'possible';
  // The tag is the template's, unless the last message itself ends with it and nothing follows.
  const last = content.trimEnd();
  return last.endsWith(THINK_OPEN) && end.endsWith(last) ? 'possible' : 'begun';
}

/** Other kinds may read a long text as one token: an unknown word, or white space. */
const EVERY_BYTE_COUNTS: ReadonlySet<Model['vocabularyType']> = new Set(['bpe', 'spm']);

interface PromptLimit {
  readonly contextSize: number;
  readonly maxBytes: number;
}

/**
 * The longest text that can fit into a context, whatever its tokens are: a longer one is rejected before it is tokenized,
 * which takes long. A loose bound, since most tokens are far shorter than the longest.
 */
export function promptLimit(model: Model, contextSize: number): PromptLimit {
  if (!EVERY_BYTE_COUNTS.has(model.vocabularyType))
    return { contextSize, maxBytes: Number.POSITIVE_INFINITY };
  const native = nativeModelOf(model);
  const bytesOf = tokenBytes(model);
  let longest = 1;
  for (const token of model.iterateAllTokens()) {
    // The written form of a token is at least as long as its bytes, and faster to measure.
    if (Buffer.byteLength(native.getTokenString(token)) > longest)
      longest = Math.max(longest, bytesOf(token).length);
  }
  return { contextSize, maxBytes: contextSize * longest };
}

function rejectTooLong({ contextSize, maxBytes }: PromptLimit, text: string, param: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxBytes) return;
  throw new ServingError('context_length_exceeded', {
    message:
      `The prompt has ${bytes} bytes, but the context holds ${contextSize} tokens, which are at most ${maxBytes} bytes, prompt ` +
      'and answer together: shorten the prompt, or have the server’s context_size raised.',
    param,
  });
}

/** Placeholders are digits: those survive anything that a template does to text, such as JSON or upper case. */
const KEY_DIGITS = 12;
const INDEX_DIGITS = 6;

/**
 * Keeps the text of messages plain on its way through a template, whatever special tokens it spells out. Before, the
 * text of such a token is replaced by a placeholder; after, it is restored as plain text. All else stays as it is, so
 * that the template can inspect it. One for each prompt; owns the replaced texts.
 */
class PlainText {
  readonly #tokenize: Tokenize;
  readonly #specialTokens: RegExp | undefined;
  readonly #replaced: string[] = [];
  readonly #key = randomMark();

  /** `specialTokens`: from `specialTokenPattern`. */
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
      const known = this.#replaced.indexOf(special);
      const index = known === -1 ? this.#replaced.push(special) - 1 : known;
      return this.#key + String(index).padStart(INDEX_DIGITS, '0');
    });
  }

  /** A rendered text with its placeholders replaced by the original texts. */
  restore(text: string): string {
    if (this.#replaced.length === 0) return text;
    return text.replaceAll(
      new RegExp(`${this.#key}(\\d{${INDEX_DIGITS}})`, 'g'),
      (placeholder, index: string) => this.#replaced[Number(index)] ?? placeholder,
    );
  }

  /** The tokens of a rendered text: the template's own special tokens are parsed, no others. */
  encode(rendered: string): Token[] {
    if (this.#specialTokens === undefined || this.#replaced.length === 0)
      return this.#tokenize(rendered, true);
    const chunks: Token[][] = [];
    let parsed = '';
    // With a capturing group, split() returns plain text and special tokens alternately.
    for (const piece of rendered.split(this.#specialTokens)) {
      const plain = this.restore(piece);
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

  /** Escapes in JSON can spell out a token too; without any, the text stays as it was written. */
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

/** Matches the text of any token that is parsed only on request. */
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

/** A text that comes unchanged through any template, and occurs nowhere else. */
function randomMark(): string {
  return randomDigits() + randomDigits();
}

function randomDigits(): string {
  return String(randomInt(10 ** KEY_DIGITS)).padStart(KEY_DIGITS, '0');
}
