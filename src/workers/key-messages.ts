/**
 * The keys of the store, for a worker that takes the place of a dead one: it serves with them whether or not the store can be reached. It
 * asks for one part after another, so that neither process makes or reads many at a time.
 */

export interface KeysToControl {
  /** The next part of them. */
  readonly type: 'keys-wanted';
}

/** What stands in a key, and in what is known of all of them, is for those who hold keys to know. */
export interface KeysToWorker {
  readonly type: 'keys';
  readonly keys: readonly HandedKey[];
  /** With the last part. */
  readonly ofAll?: HandedOfAll;
}

export type HandedKey = readonly unknown[];
export type HandedOfAll = Readonly<Record<string, unknown>>;
