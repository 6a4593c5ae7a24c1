/** Both ends of the way that the keys of the store take to a worker: those that the control process has when it is first asked. */
import type { HandedKey, HandedOfAll, KeysToControl, KeysToWorker } from './key-messages.ts';

/** About a millisecond at each end. */
const KEYS_IN_A_PART = 250;

/** Keys of one moment. */
export interface KeysToHand {
  readonly count: number;
  keyAt(index: number): HandedKey;
  readonly ofAll: HandedOfAll;
}

/** For one worker: what is to be called with each of its `keys-wanted`. */
export function handsKeys(keysNow: () => KeysToHand, send: (message: KeysToWorker) => void): () => void {
  let handed: KeysToHand | undefined;
  let from = 0;
  return () => {
    handed ??= keysNow();
    const { count, ofAll } = handed;
    const keys: HandedKey[] = [];
    for (const until = Math.min(from + KEYS_IN_A_PART, count); from < until; from += 1)
      keys.push(handed.keyAt(from));
    if (from < count) {
      send({ type: 'keys', keys });
      return;
    }
    send({ type: 'keys', keys, ofAll });
    handed = undefined;
    from = 0;
  };
}

/** Asks for all of them. */
export class WantedKeys<Key> {
  readonly #send: (message: KeysToControl) => void;
  readonly #keyOf: (handed: HandedKey) => Key;
  readonly #keys: Key[] = [];
  #done = (_: { readonly keys: readonly Key[]; readonly ofAll: HandedOfAll }) => {};

  constructor(send: (message: KeysToControl) => void, keyOf: (handed: HandedKey) => Key) {
    this.#send = send;
    this.#keyOf = keyOf;
  }

  /** To be called once. */
  all(): Promise<{ readonly keys: readonly Key[]; readonly ofAll: HandedOfAll }> {
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#send({ type: 'keys-wanted' });
    });
  }

  receive({ keys, ofAll }: KeysToWorker): void {
    for (const key of keys) this.#keys.push(this.#keyOf(key));
    if (ofAll === undefined) this.#send({ type: 'keys-wanted' });
    else this.#done({ keys: this.#keys, ofAll });
  }
}
