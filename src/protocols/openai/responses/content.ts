/** The content of a message or of a tool's output, a text or a list of parts, becomes one text and its images. */
import type { Image } from '../../../core/generation.ts';
import { showValue } from '../../../schema/violation.ts';
import { invalid } from '../../invalid.ts';
import { lenientReader } from '../../lenient-body.ts';
import { parseImage } from './input-image.ts';
import { ImagePart, RefusalPart, TextPart } from './item-schema.ts';
import { notHere } from './refusals.ts';

export interface Content {
  readonly text: string;
  readonly images: readonly Image[];
}

export interface ContentPlace {
  readonly path: string;
  readonly images: 'allowed' | 'refused';
}

const readText = lenientReader(TextPart);
const readRefusal = lenientReader(RefusalPart);
const readImage = lenientReader(ImagePart);

/** Texts that follow each other have a line each, as servers with plain-text templates join them. */
export function parseContent(
  content: string | readonly object[],
  { path, images: allowed }: ContentPlace,
): Content {
  if (typeof content === 'string') return { text: content, images: [] };
  const images: Image[] = [];
  let text = '';
  let followsText = false;
  for (const [index, part] of content.entries()) {
    const partPath = `${path}[${index}]`;
    const found = parsePart(part, partPath);
    const isText = typeof found === 'string';
    if (isText) text += (followsText ? '\n' : '') + found;
    else if (allowed === 'allowed') images.push({ ...found, at: text.length });
    else
      throw invalid(
        partPath,
        `${partPath} is an image, but only a user’s message and a tool’s output may have images.`,
      );
    followsText = isText;
  }
  return { text, images };
}

function parsePart(part: object, path: string): string | Omit<Image, 'at'> {
  const { type } = part as { readonly type?: unknown };
  switch (type) {
    case 'input_text':
    case 'output_text':
      return readText(part, path).text;
    case 'refusal':
      return readRefusal(part, path).refusal;
    case 'input_image':
      return parseImage(readImage(part, path), path);
    case 'input_file':
      throw notHere(
        `${path}.type`,
        `${path}.type is "input_file", but files are not read here. Send their text as input_text.`,
      );
    default:
      throw invalid(
        `${path}.type`,
        `${path}.type is ${showValue(type)}, but must be one of "input_text", "output_text", "refusal", "input_image".`,
      );
  }
}
