/**
 * Follows an answer through its grammar, as llama.cpp does, and ends it before a choice of a token that would block all
 * streams, or after choices that took far longer than the step they belong to. A choice under way cannot be interrupted,
 * so the protection is to look ahead. Owns the answer's place in its grammar.
 */
import type { Milliseconds } from '../../../core/clock.ts';
import { ServingError } from '../../../core/errors.ts';
import {
  type LookAhead,
  maxPathsAhead,
  type PackedGrammar,
  StackMachine,
  type StackSet,
} from '../grammar/gbnf/stack-machine.ts';
import { GRAMMAR_LIMITS } from '../grammar/limits.ts';
import type { Token } from './library.ts';
import type { TokenBytes } from './vocabulary.ts';

/** How far to look before a choice, at each new place. */
const AHEAD: LookAhead = { characters: 16, texts: 3, choices: 4 };
const STEPS_AHEAD = 6_000;
const MAX_PLACES = 1_000;
const MAX_STACKS = 20_000;
/** A grammar with fewer paths is not the reason for a slow choice. */
const MIN_PATHS_OF_SLOW_CHOICE = 8;
/** In a row. */
const MAX_SLOW_CHOICES = 4;
const SLOW = { ms: 250, ofStep: 4 };
const FAR_TOO_SLOW = { ms: 1_000, ofStep: 20 };

export class GrammarWatch {
  readonly #machine: StackMachine;
  readonly #bytesOf: TokenBytes;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  /** Undefined once the place of the answer is unknown. */
  #stacks: StackSet | undefined;
  readonly #places = new Map<string, number>();
  #paths = 1;
  #slowChoices = 0;

  constructor(grammar: PackedGrammar, bytesOf: TokenBytes) {
    this.#machine = new StackMachine(grammar, { steps: STEPS_AHEAD, stacks: GRAMMAR_LIMITS.stacks });
    this.#bytesOf = bytesOf;
    this.#stacks = this.#machine.start(grammar.root);
  }

  /** Throws if the next choice has more paths through the grammar than the engine may follow. */
  beforeChoice(): void {
    if (this.#stacks === undefined) return;
    if (this.#machine.size > MAX_STACKS) {
      this.#stacks = this.#machine.keepOnly(this.#stacks);
      this.#places.clear();
    }
    this.#paths = this.#pathsFrom(this.#stacks);
    if (this.#paths > GRAMMAR_LIMITS.stacks) throw tooManyPaths();
  }

  /** The token has been chosen. Throws if choices have taken too long. */
  chosen(token: Token, durations: { readonly choiceMs: Milliseconds; readonly stepMs: Milliseconds }): void {
    this.#follow(this.#decoder.decode(Uint8Array.from(this.#bytesOf(token)), { stream: true }));
    if (this.#paths < MIN_PATHS_OF_SLOW_CHOICE) return;
    this.#slowChoices = exceeds(SLOW, durations) ? this.#slowChoices + 1 : 0;
    if (this.#slowChoices >= MAX_SLOW_CHOICES || exceeds(FAR_TOO_SLOW, durations))
      throw tooSlow(durations.choiceMs);
  }

  #follow(text: string): void {
    let stacks = this.#stacks;
    for (const character of text)
      stacks = stacks && this.#machine.read(stacks, character.codePointAt(0) as number);
    this.#stacks = stacks?.length === 0 ? undefined : stacks;
  }

  #pathsFrom(stacks: StackSet): number {
    const place = stacks.join(' ');
    const known = this.#places.get(place);
    if (known !== undefined) return known;
    this.#machine.allow(STEPS_AHEAD);
    const paths = maxPathsAhead(this.#machine, stacks, AHEAD);
    if (this.#places.size >= MAX_PLACES) this.#places.clear();
    this.#places.set(place, paths);
    return paths;
  }
}

function exceeds(
  limit: { readonly ms: Milliseconds; readonly ofStep: number },
  { choiceMs, stepMs }: { readonly choiceMs: Milliseconds; readonly stepMs: Milliseconds },
): boolean {
  return choiceMs > limit.ms && choiceMs > limit.ofStep * stepMs;
}

function tooManyPaths(): ServingError {
  return new ServingError('invalid_request', {
    message:
      'The grammar of this answer is too ambiguous here: the text can be read, or continued, in too many ways at once, ' +
      'which would block the engine. Let alternatives begin differently.',
  });
}

function tooSlow(choiceMs: Milliseconds): ServingError {
  return new ServingError('invalid_request', {
    message:
      `The grammar of this answer is too slow: choosing a token took ${Math.round(choiceMs)} ms. ` +
      'Let alternatives begin differently, with what they have in common in front of them.',
  });
}
