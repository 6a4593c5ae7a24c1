/**
 * Keeps what somebody wrote plain text on its way through a template, whatever special tokens it spells out.
 * The text of such a token is taken out before, with a placeholder in its place, and put back as plain text after.
 * All else stays as it is, so that the template can look into it. Owns what it has taken out; one for each prompt.
 */
import { randomInt } from 'node:crypto';
import type { Message, Tool } from '../../../core/generation.ts';
import type { Model, Token } from './library.ts';
import type { Tokenize } from './text-tokens.ts';

/** Digits alone: they come unchanged through anything a template does to text, JSON and upper case included. */
const KEY_DIGITS = 12;
const INDEX_DIGITS = 6;

export class PlainText {
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
export function specialTokenPattern(model: Model): RegExp | undefined {
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
export function randomMark(): string {
  return randomDigits() + randomDigits();
}

function randomDigits(): string {
  return String(randomInt(10 ** KEY_DIGITS)).padStart(KEY_DIGITS, '0');
}
