/** A value that views subscribe to. Setting the value that it has tells nobody. */
import { useEffect, useReducer, useRef } from 'preact/hooks';

export interface Store<Value> {
  get(): Value;
  set(value: Value): void;
  update(change: (value: Value) => Value): void;
  /** Returns how to stop. */
  subscribe(listener: () => void): () => void;
}

export function createStore<Value>(initial: Value): Store<Value> {
  let value = initial;
  const listeners = new Set<() => void>();
  const set = (next: Value) => {
    if (Object.is(next, value)) return;
    value = next;
    for (const listener of [...listeners]) listener();
  };
  return {
    get: () => value,
    set,
    update: (change) => set(change(value)),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The store's value, or what `select` makes of it: the component renders again only when that is another one. */
export function useStore<Value>(store: Store<Value>): Value;
export function useStore<Value, Selected>(store: Store<Value>, select: (value: Value) => Selected): Selected;
export function useStore<Value>(
  store: Store<Value>,
  select: (value: Value) => unknown = (value) => value,
): unknown {
  const [, render] = useReducer((count: number) => count + 1, 0);
  const selected = select(store.get());
  const shown = useRef<{ selected: unknown; select: (value: Value) => unknown }>({ selected, select });
  shown.current = { selected, select };
  useEffect(() => {
    const check = () => {
      const { current } = shown;
      if (!Object.is(current.select(store.get()), current.selected)) render(undefined);
    };
    // It may have changed between rendering and now.
    check();
    return store.subscribe(check);
  }, [store]);
  return selected;
}
