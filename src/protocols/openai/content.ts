/** A picture that came along as a data: URL. Anything that would have to be fetched is refused. */

import type { Image } from '../../core/generation.ts';
import { showValue } from '../../schema/violation.ts';
import { refuseDeepNesting } from '../body-reader.ts';
import { invalid } from '../field-errors.ts';

const HEAD = /^data:(image\/[a-z0-9.+-]+)(?:;[a-z0-9=-]+)*;base64,/i;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
/** No head is longer. */
const HEAD_CHARACTERS = 100;

export function parseDataImage(url: unknown, path: string): Omit<Image, 'at'> {
  const [head, mediaType] = typeof url === 'string' ? (HEAD.exec(url.slice(0, HEAD_CHARACTERS)) ?? []) : [];
  if (typeof url !== 'string' || head === undefined || mediaType === undefined)
    throw invalid(
      path,
      `${path} is ${showValue(url)}, but must be a data: URL such as "data:image/png;base64,…": this server fetches nothing for a client.`,
    );
  const base64 = url.slice(head.length);
  if (BASE64.test(base64)) return { mediaType: mediaType.toLowerCase(), base64 };
  throw invalid(path, `${path} is a data: URL, but what follows its comma is not base64.`);
}

/** The arguments of a call that was made earlier: the text of an object. */

export function parseCallArguments(text: string, path: string): string {
  // Clients write nothing where there is nothing to give.
  if (text.trim() === '') return '{}';
  const values = parsed(text);
  if (typeof values !== 'object' || values === null || Array.isArray(values))
    throw invalid(path, `${path} is ${showValue(text)}, but must be the text of a JSON object.`);
  refuseDeepNesting(values, path);
  return text;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
