/** A picture that came with a message. Only as a data: URL: nothing is fetched for a client. */
import type { Image } from '../../../core/generation.ts';
import { showValue } from '../../../schema/violation.ts';
import { invalid } from '../../invalid.ts';

const HEAD = /^data:(image\/[a-z0-9.+-]+);base64,/i;
const NOT_BASE64 = /[^A-Za-z0-9+/=]/;
/** No head is longer. */
const HEAD_CHARACTERS = 100;

/** `value`: `{ url }`, or the URL itself as some clients write it. */
export function parseImage(value: unknown, path: string): Omit<Image, 'at'> {
  const isObject = typeof value === 'object' && value !== null;
  const url: unknown = isObject ? Reflect.get(value, 'url') : value;
  const urlPath = isObject ? `${path}.url` : path;
  if (typeof url !== 'string')
    throw invalid(urlPath, `${urlPath} is ${showValue(url)}, but must be a string: a data: URL.`);
  const [head, mediaType] = HEAD.exec(url.slice(0, HEAD_CHARACTERS)) ?? [];
  if (head === undefined || mediaType === undefined)
    throw invalid(
      urlPath,
      `${urlPath} is ${showValue(url)}, but must be a data: URL such as "data:image/png;base64,…": this server fetches nothing for a client.`,
    );
  const base64 = url.slice(head.length);
  if (base64 === '' || NOT_BASE64.test(base64))
    throw invalid(urlPath, `${urlPath} is a data: URL, but what follows its comma is not base64.`);
  return { mediaType: mediaType.toLowerCase(), base64 };
}
