/** The text of a call's arguments, read: they are an object, or not (yet) arguments at all. */
import { isNestedTooDeeply } from './nesting.ts';

export function objectIn(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject && !isNestedTooDeeply(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
