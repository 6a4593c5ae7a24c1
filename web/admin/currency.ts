/** The currency of prices and budgets: every answer about usage has it. */
import { createStore, useStore } from '../state/store.ts';

/** As the configuration's default has it, until an answer says otherwise. */
export const currency = createStore('USD');

export const useCurrency = (): string => useStore(currency);
