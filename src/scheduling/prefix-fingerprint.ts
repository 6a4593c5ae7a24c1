/**
 * Fingerprints that show cheaply how long a prefix two prompts share: a hash of everything before each boundary that a later prompt can
 * share. Boundaries are the ends of messages, or of blocks of a text; of many messages only the first and the last are kept. A hash
 * collision costs a wrong preference, never a wrong answer.
 */
import type { GenerationInput } from '../core/generation.ts';

export interface PrefixFingerprint {
  /** Characters before each boundary, ascending. */
  readonly ends: readonly number[];
  /** For each boundary, of everything before it. */
  readonly hashes: readonly number[];
  /** Of what all turns of a conversation begin with: everything up to the end of the first user message, or of the first block. */
  readonly beginning: number | undefined;
}

/** Shares nothing with any prompt. */
export const NO_PREFIX: PrefixFingerprint = { ends: [], hashes: [], beginning: undefined };

/** The next turn of a conversation has a few messages more, so the ends of the last ones are enough, and of the first two. */
const LAST_MESSAGES = 11;
/** Characters that a chat template puts around a message; also makes each boundary lie after the one before it. */
const AROUND_MESSAGE = 16;
const FIRST_BLOCK = 256;
/** No UTF-16 unit, so that no text can contain it. */
const SEPARATOR = 0x10000;

/**
 * `scope`: prompts of different scopes share nothing; undefined is a scope of its own.
 * Takes less than two milliseconds for a text of 1 MB, and microseconds for the usual prompt (bench/scheduler.mjs).
 */
export function fingerprintOf(input: GenerationInput, scope: string | undefined): PrefixFingerprint {
  const hash = new RollingHash();
  hash.add(input.kind);
  if (scope !== undefined) hash.add(scope);
  const fingerprint = {
    ends: [] as number[],
    hashes: [] as number[],
    beginning: undefined as number | undefined,
  };
  let end = 0;
  const endHere = () => {
    fingerprint.ends.push(end);
    fingerprint.hashes.push(hash.value);
  };
  if (input.kind === 'chat') {
    const { length } = input.messages;
    input.messages.forEach(({ role, content }, index) => {
      hash.add(role);
      hash.add(content);
      end += AROUND_MESSAGE + content.length;
      if (role === 'user') fingerprint.beginning ??= hash.value;
      if (index < 2 || index > length - LAST_MESSAGES) endHere();
    });
    return fingerprint;
  }
  // Each token as one unit: only the place where two prompts differ counts.
  const prompt = input.kind === 'text' ? input.prompt : unitsOf(input.tokens);
  while (end < prompt.length) {
    const from = end;
    end = Math.min(prompt.length, from + blockAfter(from));
    hash.addRange(prompt, from, end);
    endHere();
    fingerprint.beginning ??= hash.value;
  }
  return fingerprint;
}

/** One UTF-16 unit for each token; two tokens with one unit cost a wrong preference at most. */
function unitsOf(tokens: readonly number[]): string {
  return Array.from(tokens, (token) => String.fromCharCode(token & 0xffff)).join('');
}

/** The length of their longest common prefix, as far as their boundaries show. */
export function sharedCharacters(one: PrefixFingerprint, other: PrefixFingerprint): number {
  // The first two boundaries are kept of every prompt; where what is before one differs, so does all that follows.
  if (one.hashes[0] !== other.hashes[0]) return 0;
  if (one.hashes[1] !== other.hashes[1]) return one.ends[0] ?? 0;
  let index = one.ends.length - 1;
  let otherIndex = other.ends.length - 1;
  for (;;) {
    const end = one.ends[index];
    const otherEnd = other.ends[otherIndex];
    if (end === undefined || otherEnd === undefined) return 0;
    if (end === otherEnd && one.hashes[index] === other.hashes[otherIndex]) return end;
    if (end >= otherEnd) index -= 1;
    if (otherEnd >= end) otherIndex -= 1;
  }
}

/** The length of the whole prompt. */
export function lengthOf({ ends }: PrefixFingerprint): number {
  return ends[ends.length - 1] ?? 0;
}

/** The same blocks for every text: of 256 characters up to 2048, then four for each doubling. */
function blockAfter(end: number): number {
  return Math.max(FIRST_BLOCK, (0x80000000 >>> Math.clz32(end | 1)) / 4);
}

/** Two hashes of 32 bits, each a multiplication per character, and 53 bits of them as one number. */
class RollingHash {
  #one = 0x811c9dc5 | 0;
  #two = 0x9747b28c | 0;

  get value(): number {
    const one = Math.imul(this.#one ^ (this.#one >>> 16), 0x85ebca6b);
    const two = Math.imul(this.#two ^ (this.#two >>> 13), 0xc2b2ae35);
    return (two & 0x1fffff) * 0x100000000 + (one >>> 0);
  }

  /** The whole text, and its end. */
  add(text: string): void {
    this.addRange(text, 0, text.length);
    this.#mix(SEPARATOR);
  }

  addRange(text: string, from: number, to: number): void {
    let one = this.#one;
    let two = this.#two;
    for (let index = from; index < to; index += 1) {
      const code = text.charCodeAt(index);
      one = Math.imul(one ^ code, 0x9e3779b1);
      two = Math.imul(two ^ code, 0x5f356495);
    }
    this.#one = one;
    this.#two = two;
  }

  #mix(code: number): void {
    this.#one = Math.imul(this.#one ^ code, 0x9e3779b1);
    this.#two = Math.imul(this.#two ^ code, 0x5f356495);
  }
}
