/** A page of the keys: what is asked for, and how its filter finds keys. Pure. */
import type { KeyRecord } from './key-record.ts';

export interface KeysQuery {
  /** Only those that were added behind the key with this id. */
  readonly after?: string | undefined;
  readonly limit: number;
  /** Words, with spaces between them: only keys that have them all. */
  readonly filter?: string | undefined;
  readonly withRevoked: boolean;
}

export interface KeysPage {
  /** In the order in which they were added. */
  readonly records: readonly KeyRecord[];
  /** The `after` of the next page; undefined: this is the last one. */
  readonly next: string | undefined;
}

export interface KeyName {
  readonly id: string;
  readonly name: string;
}

/** As a key's text has to have them. */
export function wordsOfFilter(filter = ''): readonly string[] {
  return inSmallLetters(filter)
    .split(/\s+/)
    .filter((word) => word !== '');
}

/** What a filter looks into: no word has a space, so none is found in two of them together. Databases make the same text. */
export function hasWords({ name, team, id, labels }: KeyRecord, words: readonly string[]): boolean {
  const text = inSmallLetters([name, team ?? '', id, JSON.stringify(labels)].join(' '));
  return words.every((word) => text.includes(word));
}

/** One more than `limit` of `records` was looked for. */
export function pageOf(records: readonly KeyRecord[], limit: number): KeysPage {
  const shown = records.slice(0, limit);
  return { records: shown, next: records.length > limit ? shown.at(-1)?.id : undefined };
}

/** Those from A to Z: what all databases take for the same letter. */
function inSmallLetters(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}
