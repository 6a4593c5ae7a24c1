/**
 * Follows an answer through its grammar, as the engine does, and ends it before a choice of a token that would stop
 * everybody, or after choices that took far longer than the step they belong to. A choice under way cannot be
 * interrupted: what can be known beforehand is what protects. Owns how far the answer is in its grammar.
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

/** Looked at before each choice from a place that is new. */
const AHEAD: LookAhead = { characters: 16, texts: 3, choices: 4 };
const STEPS_AHEAD = 6_000;
const PLACES_REMEMBERED = 1_000;
const STACKS_REMEMBERED = 20_000;
/** What a grammar with fewer ways than these takes is not its own doing. */
const INNOCENT_WAYS = 8;
/** Choices in a row that took longer than they may. */
const SLOW_CHOICES = 4;
const SLOW = { ms: 250, ofStep: 4 };
const FAR_TOO_SLOW = { ms: 1_000, ofStep: 20 };

export class GrammarWatch {
  readonly #machine: StackMachine;
  readonly #bytesOf: TokenBytes;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  /** Undefined once the answer is somewhere that is not known here. */
  #stacks: StackSet | undefined;
  readonly #places = new Map<string, number>();
  #ways = 1;
  #slowChoices = 0;

  constructor(grammar: PackedGrammar, bytesOf: TokenBytes) {
    this.#machine = new StackMachine(grammar, { steps: STEPS_AHEAD, stacks: GRAMMAR_LIMITS.stacks });
    this.#bytesOf = bytesOf;
    this.#stacks = this.#machine.start(grammar.root);
  }

  /** Throws where the next choice could be read in more ways than the engine may follow. */
  beforeChoice(): void {
    if (this.#stacks === undefined) return;
    if (this.#machine.size > STACKS_REMEMBERED) {
      this.#stacks = this.#machine.keepOnly(this.#stacks);
      this.#places.clear();
    }
    this.#ways = this.#waysFrom(this.#stacks);
    if (this.#ways > GRAMMAR_LIMITS.stacks) throw tooManyWays();
  }

  /** The token has been chosen, in so long, after a decode step of so long. Throws where that was too long again. */
  chosen(token: Token, durations: { readonly choiceMs: Milliseconds; readonly stepMs: Milliseconds }): void {
    this.#follow(this.#decoder.decode(Uint8Array.from(this.#bytesOf(token)), { stream: true }));
    if (this.#ways < INNOCENT_WAYS) return;
    this.#slowChoices = exceeds(SLOW, durations) ? this.#slowChoices + 1 : 0;
    if (this.#slowChoices >= SLOW_CHOICES || exceeds(FAR_TOO_SLOW, durations))
      throw tooSlow(durations.choiceMs);
  }

  #follow(text: string): void {
    let stacks = this.#stacks;
    for (const character of text)
      stacks = stacks && this.#machine.read(stacks, character.codePointAt(0) as number);
    this.#stacks = stacks?.length === 0 ? undefined : stacks;
  }

  #waysFrom(stacks: StackSet): number {
    const place = stacks.join(' ');
    const known = this.#places.get(place);
    if (known !== undefined) return known;
    this.#machine.allow(STEPS_AHEAD);
    const ways = maxPathsAhead(this.#machine, stacks, AHEAD);
    if (this.#places.size >= PLACES_REMEMBERED) this.#places.clear();
    this.#places.set(place, ways);
    return ways;
  }
}

function exceeds(
  limit: { readonly ms: Milliseconds; readonly ofStep: number },
  { choiceMs, stepMs }: { readonly choiceMs: Milliseconds; readonly stepMs: Milliseconds },
): boolean {
  return choiceMs > limit.ms && choiceMs > limit.ofStep * stepMs;
}

function tooManyWays(): ServingError {
  return new ServingError('invalid_request', {
    message: `The grammar of this answer can read the text from here on, or go on with it, in too many ways at once, which would stop the engine. Let alternatives differ in how they begin.`,
  });
}

function tooSlow(choiceMs: Milliseconds): ServingError {
  return new ServingError('invalid_request', {
    message: `The grammar of this answer takes too long: choosing a token took ${Math.round(choiceMs)} ms. Let alternatives differ in how they begin, and put common beginnings in front of them.`,
  });
}
