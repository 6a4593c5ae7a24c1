/** The text of one message, and the pictures between its characters, put together from content blocks. */
import type { Image } from '../../core/generation.ts';
import { showValue } from '../../schema/violation.ts';
import { invalid } from '../invalid.ts';
import { lenientReader } from '../lenient-body.ts';
import { type Placed, readContent, readTextBlocks, type ShownBlock } from './content.ts';
import { type Blocks, ImageSource, TextSource } from './content-schema.ts';

const readImageSource = lenientReader(ImageSource);
const readTextSource = lenientReader(TextSource);

/** Owned by one parse. */
export class Prose {
  #text = '';
  #images: Image[] = [];

  get text(): string {
    return this.#text;
  }

  get images(): readonly Image[] {
    return this.#images;
  }

  get isEmpty(): boolean {
    return this.#text === '' && this.#images.length === 0;
  }

  /** `between`: what stands between it and the text before it. */
  say(text: string, between: string): void {
    if (text === '') return;
    this.#text += this.#text === '' ? text : between + text;
  }

  /** Pictures of a text that is told elsewhere. */
  bring(images: readonly Image[]): void {
    this.#images.push(...images.map((image) => ({ ...image, at: this.#text.length })));
  }

  show({ block, path }: Placed<ShownBlock>, between: string): void {
    switch (block.type) {
      case 'text':
        this.say(block.text, between);
        return;
      case 'image':
        this.#images.push({ ...readImage(block.source, `${path}.source`), at: this.#text.length });
        return;
      case 'document':
        this.#showDocument(block, path, between);
        return;
      case 'search_result': {
        const texts = readTextBlocks(block.content, `${path}.content`, 'a search result');
        this.say([block.title, block.source, ...texts.map((each) => each.block.text)].join('\n'), between);
        return;
      }
      default:
        block satisfies never;
    }
  }

  #showDocument({ source, title, context }: Blocks['document'], path: string, between: string): void {
    const type: unknown = Reflect.get(source, 'type');
    const place = `${path}.source`;
    const head = [title, context].filter((text) => text !== undefined).join('\n');
    if (type === 'content') {
      this.say(head, between);
      const parts = readContent(Reflect.get(source, 'content'), `${place}.content`, {
        types: ['text', 'image'] as const,
        where: 'a document',
      });
      for (const [index, part] of parts.entries())
        this.show(part, index === 0 && head === '' ? between : '\n');
      return;
    }
    if (type !== 'text')
      throw invalid(
        `${place}.type`,
        `${place}.type is ${showValue(type)}, but must be "text" or "content": the server reads no files and fetches nothing.`,
      );
    const { data } = readTextSource(source, place);
    this.say(head === '' ? data : `${head}\n${data}`, between);
  }
}

function readImage(source: object, path: string): Omit<Image, 'at'> {
  const type: unknown = Reflect.get(source, 'type');
  if (type !== 'base64')
    throw invalid(
      `${path}.type`,
      `${path}.type is ${showValue(type)}, but must be "base64": the server fetches nothing. Send the image itself.`,
    );
  const { media_type, data } = readImageSource(source, path);
  if (/[^A-Za-z0-9+/=]/.test(data))
    throw invalid(`${path}.data`, `${path}.data is ${showValue(data)}, but must be base64 and nothing else.`);
  return { mediaType: media_type, base64: data };
}
