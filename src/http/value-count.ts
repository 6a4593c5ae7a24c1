/** How many values a JSON text holds at most, from its bytes alone: cheap, before anything is made of them. Pure. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

/** Values are divided by commas, but for the first of each list and object: an upper bound needs no more than those outside of strings. */
export function commasOutsideStrings(json: Uint8Array): number {
  let commas = 0;
  let inString = false;
  for (let at = 0; at < json.length; at += 1) {
    const byte = json[at];
    if (inString) {
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) {
      inString = true;
    } else if (byte === COMMA) {
      commas += 1;
    }
  }
  return commas;
}
