/** What a server says, as far as it is passed on to clients and logs: it may repeat a whole request. */

const LONGEST = 500;

export function shownWords(words: string): string {
  return words.length <= LONGEST ? words : `${words.slice(0, LONGEST).toWellFormed()}…`;
}
