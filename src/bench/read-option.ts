/** Values of options as they are written: checked, and refused in words that name the option, its value and the rule. */

/** Wrong options: the message names the option, its value and the rule. */
export class UsageError extends Error {}

export function wholeNumber(text: string, option: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < min || value > max)
    throw new UsageError(`${option} is "${text}"; it must be a whole number from ${min} to ${max}.`);
  return value;
}

/** Above 0. */
export function positiveNumber(text: string, option: string, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0 && value <= max))
    throw new UsageError(`${option} is "${text}"; it must be a number above 0, up to ${max}.`);
  return value;
}

export function oneOf<Name extends string>(text: string, option: string, names: readonly Name[]): Name {
  const known = names.find((each) => each === text);
  if (known === undefined) throw new UsageError(`${option} is "${text}"; it can be ${names.join(', ')}.`);
  return known;
}

export function optional<Value>(text: string | undefined, read: (text: string) => Value): Value | undefined {
  return text === undefined ? undefined : read(text);
}
