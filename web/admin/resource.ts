/**
 * What a section shows of the server: asked for when somebody looks, again every few seconds while they do, and at once with another key.
 * What was read stays on the screen while the server does not answer; what a key may not see does not.
 */
import { type ApiFailure, asFailure } from '../api/failure.ts';
import { adminKey, apiKey, keyFor } from '../state/api-key.ts';
import { createStore, type Store } from '../state/store.ts';
import type { CallOptions } from './api.ts';
import { isRefusal } from './trouble.ts';

export interface ResourceState<Value> {
  readonly value: Value | undefined;
  /** Of the last try. */
  readonly failure: ApiFailure | undefined;
  readonly isLoading: boolean;
}

interface ResourceOptions {
  /** Between an answer and the next question. Undefined: it is asked for once. */
  readonly pollMs?: number;
}

const RETRY_MS = { first: 1_000, factor: 1.7, longest: 15_000 } as const;

export class Resource<Value> {
  readonly state: Store<ResourceState<Value>> = createStore<ResourceState<Value>>({
    value: undefined,
    failure: undefined,
    isLoading: true,
  });
  readonly #load: (options: CallOptions) => Promise<Value>;
  readonly #pollMs: number | undefined;
  #stop: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Before the next try after a failure. */
  #pause: number = RETRY_MS.first;
  /** That the last question was asked with. */
  #key: string | undefined;

  constructor(load: (options: CallOptions) => Promise<Value>, { pollMs }: ResourceOptions = {}) {
    this.#load = load;
    this.#pollMs = pollMs;
  }

  /** Asks, and goes on asking while the tab is visible. Returns how to stop. */
  use(): () => void {
    const stops = [apiKey, adminKey].map((key) => key.subscribe(this.#onKey));
    document.addEventListener('visibilitychange', this.#onVisibility);
    void this.reload();
    return () => {
      for (const stop of stops) stop();
      document.removeEventListener('visibilitychange', this.#onVisibility);
      this.#end();
    };
  }

  /** Asks now; where the server wants a key, the person is asked for it. */
  reload(): Promise<void> {
    return this.#ask(false);
  }

  readonly #onKey = (): void => {
    if (keyFor('admin') === this.#key) return;
    this.state.set({ value: undefined, failure: undefined, isLoading: true });
    void this.reload();
  };

  readonly #onVisibility = (): void => {
    if (document.visibilityState === 'hidden') this.#end();
    else if (this.#stop === undefined) void this.#ask(true);
  };

  #end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#stop?.abort();
    this.#stop = undefined;
  }

  async #ask(quiet: boolean): Promise<void> {
    this.#end();
    const stop = new AbortController();
    this.#stop = stop;
    this.#key = keyFor('admin');
    this.state.update((state) => ({ ...state, isLoading: true }));
    try {
      const value = await this.#load({ signal: stop.signal, quiet });
      if (stop.signal.aborted) return;
      this.#pause = RETRY_MS.first;
      this.state.set({ value, failure: undefined, isLoading: false });
      this.#again(this.#pollMs);
    } catch (thrown) {
      if (stop.signal.aborted) return;
      const failure = asFailure(thrown);
      const isOver = isRefusal(failure);
      this.state.update(({ value }) => ({ value: isOver ? undefined : value, failure, isLoading: false }));
      if (isOver) return;
      this.#again(Math.max(this.#pause, (failure.retryAfterSeconds ?? 0) * 1_000));
      this.#pause = Math.min(this.#pause * RETRY_MS.factor, RETRY_MS.longest);
    }
  }

  #again(ms: number | undefined): void {
    if (ms !== undefined) this.#timer = setTimeout(() => void this.#ask(true), ms);
  }
}
