/** The content of a message: a text, or parts of which texts become one and pictures keep their place. */

import type { Image } from '../../../core/generation.ts';
import { showValue } from '../../../schema/violation.ts';
import { invalid } from '../../invalid.ts';
import { parseDataImage } from '../data-image.ts';
import { notTaken } from '../not-taken.ts';
import type { MessageBody } from './message-schema.ts';

type PartType = 'text' | 'refusal' | 'image_url';
type Part = Exclude<NonNullable<MessageBody['content']>, string>[number] & Readonly<Record<string, unknown>>;

export interface Content {
  readonly text: string;
  readonly images: readonly Image[];
}

/** What OpenAI takes and nothing here does. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  input_audio: 'Send what was said as text.',
  file: 'Send its text as a text part, or its pages as pictures.',
};

/** Texts that follow each other have a line each, as servers with plain-text templates join them. */
export function parseContent(
  content: NonNullable<MessageBody['content']>,
  path: string,
  allowed: readonly PartType[],
): Content {
  if (typeof content === 'string') return { text: content, images: [] };
  const images: Image[] = [];
  let text = '';
  let followsText = false;
  for (const [index, part] of (content as readonly Part[]).entries()) {
    const partPath = `${path}[${index}]`;
    const type = partType(part, partPath, allowed);
    if (type === 'image_url') {
      images.push({ ...imageOf(part, `${partPath}.image_url`), at: text.length });
    } else {
      text += (followsText ? '\n' : '') + textOf(part, type, partPath);
    }
    followsText = type !== 'image_url';
  }
  return { text, images };
}

function partType({ type }: Part, path: string, allowed: readonly PartType[]): PartType {
  const known = allowed.find((candidate) => candidate === type);
  if (known !== undefined) return known;
  const advice = Object.hasOwn(UNSUPPORTED, type) ? UNSUPPORTED[type] : undefined;
  if (advice !== undefined)
    throw notTaken(`${path}.type`, `is ${showValue(type)}, which is not supported`, advice);
  const options = allowed.map((option) => JSON.stringify(option)).join(', ');
  throw invalid(`${path}.type`, `${path}.type is ${showValue(type)}, but must be one of ${options} there.`);
}

/** `{ url }`, or the URL itself as some clients write it. */
function imageOf({ image_url: given }: Part, path: string): Omit<Image, 'at'> {
  if (typeof given !== 'object' || given === null) return parseDataImage(given, path);
  return parseDataImage(Reflect.get(given, 'url'), `${path}.url`);
}

function textOf(part: Part, field: 'text' | 'refusal', path: string): string {
  const value = part[field];
  if (typeof value === 'string') return value;
  throw invalid(`${path}.${field}`, `${path}.${field} is ${showValue(value)}, but must be a string.`);
}
