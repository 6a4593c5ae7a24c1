/**
 * The tab's keys: the API key for the models and, optionally, an admin key for what only administrators see. The person is asked for
 * them when the server wants one. They are kept in this tab's session storage and sent to this server alone.
 */
import { createStore, type Store } from './store.ts';

export type KeyKind = 'api' | 'admin';

/** Undefined: none. */
export interface Keys {
  readonly apiKey: string | undefined;
  readonly adminKey: string | undefined;
}

/** What the dialog shows while keys are asked for. */
export interface KeyQuestion {
  /** The server's words; undefined: the person opened the dialog. */
  readonly reason: string | undefined;
  /** The one that is asked for. */
  readonly kind: KeyKind;
  /** Undefined: cancelled. */
  readonly answer: (keys: Keys | undefined) => void;
}

const STORED_AS: Readonly<Record<KeyKind, string>> = { api: 'llm-serve.key', admin: 'llm-serve.admin-key' };

export const apiKey = createStore(stored('api'));
export const adminKey = createStore(stored('admin'));
/** Undefined: the dialog is closed. */
export const keyQuestion = createStore<KeyQuestion | undefined>(undefined);

/** What a request sends: an admin key where one helps, else the API key. */
export function keyFor(kind: KeyKind): string | undefined {
  return kind === 'admin' ? (adminKey.get() ?? apiKey.get()) : apiKey.get();
}

let asked: Promise<boolean> | undefined;

/** Resolves with whether keys were given. All who ask at the same time share one dialog. */
export function askForKeys(reason: string | undefined, kind: KeyKind): Promise<boolean> {
  const open = keyQuestion.get();
  if (open !== undefined && open.reason === undefined) keyQuestion.set({ ...open, reason, kind });
  asked ??= new Promise<boolean>((resolve) => {
    keyQuestion.set({
      reason,
      kind,
      answer: (keys) => {
        asked = undefined;
        keyQuestion.set(undefined);
        if (keys !== undefined) setKeys(keys);
        resolve(keys !== undefined);
      },
    });
  });
  return asked;
}

/** For the person who wants to enter, change or forget them. */
export function openKeys(kind: KeyKind = 'api'): void {
  void askForKeys(undefined, kind);
}

export function setKeys(keys: Keys): void {
  set(apiKey, 'api', keys.apiKey);
  set(adminKey, 'admin', keys.adminKey);
}

function set(store: Store<string | undefined>, kind: KeyKind, key: string | undefined): void {
  try {
    if (key === undefined) sessionStorage.removeItem(STORED_AS[kind]);
    else sessionStorage.setItem(STORED_AS[kind], key);
  } catch {
    // Storage is off: the key holds until the page is left.
  }
  store.set(key);
}

function stored(kind: KeyKind): string | undefined {
  try {
    return sessionStorage.getItem(STORED_AS[kind]) ?? undefined;
  } catch {
    return undefined;
  }
}
