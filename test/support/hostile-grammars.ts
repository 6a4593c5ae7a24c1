/** Grammars made to hurt. Each is refused, or must cost the engine little. */
const many = (count: number, part: (index: number) => string, between: string) =>
  Array.from({ length: count }, (_, index) => part(index)).join(between);

export interface HostileGrammar {
  readonly what: string;
  readonly gbnf: string;
  /** Why it is refused; absent: it is taken, and costs little. */
  readonly refused?: RegExp;
}

export const HOSTILE_GRAMMARS: readonly HostileGrammar[] = [
  { what: 'sixty equal classes', gbnf: `root ::= (${many(60, () => '[a-z ]', ' | ')})*` },
  {
    what: 'equal classes, spelt differently',
    gbnf: `root ::= (${many(26, (n) => `[${'abcdefghijklmnopqrstuvwxyz'.slice(n)}${'abcdefghijklmnopqrstuvwxyz'.slice(0, n)} ]`, ' | ')})*`,
  },
  {
    what: 'equal groups within groups',
    gbnf: `root ::= (${many(12, (n) => `${'('.repeat(n + 1)}[a-z ]${')'.repeat(n + 1)}`, ' | ')})*`,
  },
  {
    what: 'equal rules under many names',
    gbnf: `root ::= (${many(60, (n) => `r${n}`, ' | ')})*\n${many(60, (n) => `r${n} ::= [a-z ]`, '\n')}`,
  },
  {
    what: 'equal rules through rules',
    gbnf: `root ::= (${many(40, (n) => `a${n}`, ' | ')})*\n${many(40, (n) => `a${n} ::= b${n}\nb${n} ::= "x"? c${n}\nc${n} ::= [a-z ]`, '\n')}`,
  },
  { what: 'equal loops', gbnf: `root ::= (${many(20, () => '[a-z ]+', ' | ')})*` },
  {
    what: 'nearly equal classes',
    gbnf: `root ::= (${many(24, (n) => `[a-${'zyxwvutsrqponmlkjihgfedc'[n]}]`, ' | ')})*`,
  },
  {
    what: 'classes that overlap in a chain',
    gbnf: `root ::= (${many(20, (n) => `[${'abcdefghijklmnopqrst'[n]}-${'ghijklmnopqrstuvwxyz'[n]}]`, ' | ')})*`,
  },
  { what: 'a class and its opposite', gbnf: 'root ::= ([a-z ] | [^0-9] | [^A-Z] | .)*' },
  { what: 'equal negated classes', gbnf: `root ::= (${many(30, () => '[^\\n]', ' | ')})* "\\n"` },
  {
    what: 'classes of all scripts',
    gbnf: `root ::= (${many(40, (n) => `[\\u${(0x400 + n).toString(16).padStart(4, '0')}-\\U0010FFFF a-z]`, ' | ')})*`,
  },
  { what: 'stars of stars', gbnf: 'root ::= ([a-z ]+)*' },
  { what: 'stars of stars of stars', gbnf: 'root ::= ((([a-z ]+)+)+)+' },
  { what: 'stars in a row', gbnf: `root ::= ${many(30, () => '[a-z ]*', ' ')} "!"` },
  {
    what: 'many optional letters',
    gbnf: `root ::= ${many(60, () => '[a-z ]?', ' ')}`,
  },
  {
    what: 'very many optional letters',
    gbnf: `root ::= ${many(600, () => '[a-z ]?', ' ')}`,
  },
  {
    what: 'optional groups within groups',
    gbnf: `root ::= ${'('.repeat(30)}[a-z ]${'[a-z ]?)?'.repeat(30)}`,
    refused: /ways at once/,
  },
  { what: 'counts of optional letters', gbnf: 'root ::= ([a-z ]?){0,60}', refused: /ways at once/ },
  { what: 'counts of counts', gbnf: 'root ::= ([a-z ]{1,30}){1,30}', refused: /ways at once/ },
  { what: 'ten thousand repetitions', gbnf: 'root ::= [a-z]{0,10000}', refused: /too large/ },
  {
    what: 'words with one long beginning',
    gbnf: `root ::= ${many(1000, (n) => `"${'the same beginning of all words '.repeat(2)}${n}"`, ' | ')}`,
  },
  {
    what: 'five thousand words',
    gbnf: `root ::= ${many(5000, (n) => `"word ${n}"`, ' | ')}`,
    refused: /ways at once/,
  },
  {
    what: 'words in rules',
    gbnf: `root ::= (${many(300, (n) => `w${n}`, ' | ')})*\n${many(300, (n) => `w${n} ::= "a word ${n} " [a-z ]*`, '\n')}`,
    refused: /ways at once/,
  },
  { what: 'recursion with two ends', gbnf: 'root ::= "a" root "b" | "a" root "c" | "d"' },
  {
    what: 'recursion that may begin in two ways',
    gbnf: 'root ::= [a-z ] root [a-z ] | [a-z ] root [a-z]? | [a-z ]',
    refused: /ways at once/,
  },
  {
    what: 'recursion without an end in sight',
    gbnf: 'root ::= [a-z ] root? [a-z ]?',
    refused: /ways at once/,
  },
  {
    what: 'palindromes',
    gbnf: `root ::= ${many(26, (n) => `"${'abcdefghijklmnopqrstuvwxyz'[n]}" root? "${'abcdefghijklmnopqrstuvwxyz'[n]}"`, ' | ')}`,
    refused: /ways at once/,
  },
  { what: 'sums of sums', gbnf: 'root ::= s\ns ::= [a-z ] (s s)?', refused: /ways at once/ },
  {
    what: 'ambiguity behind a long beginning',
    gbnf: `root ::= "${'a'.repeat(1500)}" e\ne ::= [a-z ] e? e?`,
    refused: /ways at once/,
  },
  {
    what: 'ambiguity behind many rules',
    gbnf: `root ::= ${many(400, (n) => `d${n}`, ' ')} e\n${many(400, (n) => `d${n} ::= "${n}" | "x${n}"`, '\n')}\ne ::= [a-z ] e? e?`,
    refused: /ways at once/,
  },
  { what: 'the fifth letter before the end', gbnf: 'root ::= [a-z ]* "a" [a-z ]{5}' },
  { what: 'the twentieth letter before the end', gbnf: 'root ::= [a-z ]* "a" [a-z ]{20}' },
];
