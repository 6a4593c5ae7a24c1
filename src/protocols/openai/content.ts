/** What messages of chats and responses bring along: content in parts, images as data: URLs, the arguments of earlier calls. */
import type { Image } from '../../core/generation.ts';
import { showValue } from '../../schema/violation.ts';
import { refuseDeepNesting } from '../body-reader.ts';
import { invalid } from '../field-errors.ts';

export interface Content {
  readonly text: string;
  readonly images: readonly Image[];
}

/**
 * A text, or parts of which texts become one and images keep their place. Texts that follow each other have a line each, as
 * servers with plain-text templates join them. `readPart`: the text of a part, or its image.
 */
export function parseContent<Part>(
  content: string | readonly Part[],
  path: string,
  readPart: (part: Part, path: string) => string | Omit<Image, 'at'>,
): Content {
  if (typeof content === 'string') return { text: content, images: [] };
  const images: Image[] = [];
  let text = '';
  let followsText = false;
  for (const [index, part] of content.entries()) {
    const found = readPart(part, `${path}[${index}]`);
    if (typeof found === 'string') text += (followsText ? '\n' : '') + found;
    else images.push({ ...found, at: text.length });
    followsText = typeof found === 'string';
  }
  return { text, images };
}

const DATA_URL_HEAD = /^data:(image\/[a-z0-9.+-]+)(?:;[a-z0-9=-]+)*;base64,/i;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
/** No head is longer. */
const MAX_HEAD_CHARACTERS = 100;

/** Anything but a data: URL would have to be fetched, and is rejected. */
export function parseDataImage(url: string | undefined, path: string): Omit<Image, 'at'> {
  const [head, mediaType] = DATA_URL_HEAD.exec(url?.slice(0, MAX_HEAD_CHARACTERS) ?? '') ?? [];
  if (url === undefined || head === undefined || mediaType === undefined)
    throw invalid(
      path,
      `${path} is ${showValue(url)}, but must be a data: URL such as "data:image/png;base64,…": this server fetches nothing for a client.`,
    );
  const base64 = url.slice(head.length);
  if (BASE64.test(base64)) return { mediaType: mediaType.toLowerCase(), base64 };
  throw invalid(path, `${path} is a data: URL, but what follows its comma is not base64.`);
}

/** `text`: the JSON of an object. */
export function parseCallArguments(text: string, path: string): string {
  // Clients write nothing where there are no arguments.
  if (text.trim() === '') return '{}';
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch {
    values = undefined;
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values))
    throw invalid(path, `${path} is ${showValue(text)}, but must be the text of a JSON object.`);
  refuseDeepNesting(values, path);
  return text;
}
