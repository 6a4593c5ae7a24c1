/** Ids of conversations and messages. Not by `crypto.randomUUID`, which pages over plain HTTP from another machine do not have. */

/** 32 random hexadecimal digits. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
