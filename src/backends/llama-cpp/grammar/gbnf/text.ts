/**
 * Writes the pieces of a GBNF text. A "part" is GBNF that may stand in a sequence; only a part that is one character
 * class or one name may be repeated, which keeps the engine's count of repeated rules at the count itself.
 */
import type { CharacterSet } from './character-set.ts';

const NAMED_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** A text as it stands, in quotes. */
export function literal(text: string): string {
  const escaped = text.replace(/["\\]|\p{Cc}/gu, (character) => NAMED_ESCAPES[character] ?? hex(character));
  return `"${escaped}"`;
}

/** One character of the set, which must not be empty. */
export function characterClass(set: CharacterSet): string {
  const ranges = set.map(({ from, to }) =>
    from === to ? classCharacter(from) : `${classCharacter(from)}-${classCharacter(to)}`,
  );
  return `[${ranges.join('')}]`;
}

/** Alternatives of a rule. An empty one comes first: after the last bar the engine would read on in the next line. */
export function alternatives(parts: readonly string[]): string {
  const filled = parts.filter((part) => part !== '');
  return (filled.length < parts.length ? ['', ...filled] : filled).join(' | ');
}

export function choice(parts: readonly string[]): string {
  return parts.length === 1 ? (parts[0] as string) : `(${alternatives(parts)})`;
}

/** `most` undefined: without end. */
export function repeated(part: string, least: number, most: number | undefined): string {
  if (most === 0) return '';
  if (least === 1 && most === 1) return part;
  if (most === undefined) return `${part}${least === 0 ? '*' : least === 1 ? '+' : `{${least},}`}`;
  if (least === 0 && most === 1) return `${part}?`;
  return `${part}{${least === most ? least : `${least},${most}`}}`;
}

/** What goes into a sequence, empty parts left out. */
export function sequence(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(' ');
}

function classCharacter(codePoint: number): string {
  const character = String.fromCodePoint(codePoint);
  if ('[]-^"\\'.includes(character) || codePoint < 0x20 || codePoint > 0x7e) return hex(character);
  return character;
}

function hex(character: string): string {
  const codePoint = character.codePointAt(0) as number;
  const [letter, length] = codePoint <= 0xff ? ['x', 2] : codePoint <= 0xffff ? ['u', 4] : ['U', 8];
  return `\\${letter}${codePoint
    .toString(16)
    .toUpperCase()
    .padStart(length as number, '0')}`;
}
