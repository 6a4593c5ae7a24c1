/** Small questions about where texts begin and end. Blank is what JSON takes for blank. */
export function isBlank(character: string): boolean {
  return character === ' ' || character === '\n' || character === '\r' || character === '\t';
}

export function withoutBlanks(text: string): string {
  return text.replace(/^[ \n\r\t]+/, '');
}

/** Where the blanks begin that end at `end`. */
export function blanksFrom(text: string, end: number): number {
  let at = end;
  while (at > 0 && isBlank(text.charAt(at - 1))) at -= 1;
  return at;
}

/** How long the longest end of the text is that is the beginning of `word`, but not all of it. */
export function longestBeginning(text: string, word: string): number {
  let length = Math.min(word.length - 1, text.length);
  while (!text.endsWith(word.slice(0, length))) length -= 1;
  return length;
}
