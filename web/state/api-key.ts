/** The API key: asked for when the server wants one, kept in this tab's session storage, sent to this server alone. */
import { createStore } from './store.ts';

const KEY = 'llm-serve.key';

/** What the dialog shows while a key is asked for; undefined: it is not. */
export interface KeyQuestion {
  /** The server's words. */
  readonly reason: string;
  readonly answer: (key: string | undefined) => void;
}

export const apiKey = createStore<string | undefined>(storedKey());
export const keyQuestion = createStore<KeyQuestion | undefined>(undefined);

let asked: Promise<string | undefined> | undefined;

/** Resolves with the key that was given, undefined if the person gave none. All who ask at the same time share one dialog. */
export function askForKey(reason: string): Promise<string | undefined> {
  asked ??= new Promise<string | undefined>((resolve) => {
    keyQuestion.set({
      reason,
      answer: (key) => {
        asked = undefined;
        keyQuestion.set(undefined);
        if (key !== undefined) setKey(key);
        resolve(key);
      },
    });
  });
  return asked;
}

/** Undefined: forgets it. */
export function setKey(key: string | undefined): void {
  apiKey.set(key);
  try {
    if (key === undefined) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, key);
  } catch {
    // Storage is off: the key holds until the page is left.
  }
}

function storedKey(): string | undefined {
  try {
    return sessionStorage.getItem(KEY) ?? undefined;
  } catch {
    return undefined;
  }
}
