/**
 * Texts that share their beginnings, as rules that share them too: the engine then follows one way until the texts
 * differ, instead of one for each text.
 */

import { type CharacterSet, charactersOf, difference } from './character-set.ts';
import type { RuleBook } from './rule-book.ts';
import { alternatives, characterClass, literal, repeated, sequence } from './text.ts';

interface Branch {
  readonly next: Map<string, Branch>;
  ends: boolean;
}

/** Exactly these texts. */
export function anyOfTexts(texts: readonly string[], book: RuleBook): string {
  return written(trieOf(texts), book);
}

/** Any text of these characters, but none of the given ones; those with other characters are no matter. */
export function noneOfTexts(
  texts: readonly string[],
  { characters, book }: { readonly characters: CharacterSet; readonly book: RuleBook },
): string {
  const anything = repeated(characterClass(characters), 0, undefined);
  const other = ({ next, ends }: Branch): string => {
    const differs = difference(characters, charactersOf([...next.keys()].join('')));
    const ways = [
      ...(ends ? [] : ['']),
      sequence(characterClass(differs), anything),
      ...Array.from(next, ([character, branch]) => sequence(literal(character), other(branch))),
    ];
    return book.add('key-not', alternatives(ways));
  };
  return texts.length === 0 ? anything : other(trieOf(texts));
}

function trieOf(texts: readonly string[]): Branch {
  const root: Branch = { next: new Map(), ends: false };
  for (const text of texts) {
    let branch = root;
    for (const character of text) {
      const next = branch.next.get(character) ?? { next: new Map(), ends: false };
      branch.next.set(character, next);
      branch = next;
    }
    branch.ends = true;
  }
  return root;
}

/** A run without a choice is one literal; a choice becomes a rule, so that nothing is nested. */
function written(start: Branch, book: RuleBook): string {
  let run = '';
  let branch = start;
  while (branch.next.size === 1 && !branch.ends) {
    const [[character, next]] = [...branch.next] as [[string, Branch]];
    run += character;
    branch = next;
  }
  const head = run === '' ? '' : literal(run);
  if (branch.next.size === 0) return head;
  const ways = Array.from(branch.next, ([character, next]) =>
    sequence(literal(character), written(next, book)),
  );
  return sequence(head, book.add('one-of', alternatives(branch.ends ? [...ways, ''] : ways)));
}
