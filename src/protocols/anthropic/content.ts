/** The content blocks of one message become one text, with images between its characters. */
import type { Image } from '../../core/generation.ts';
import type { ShownBlock, TextBlock } from './schema.ts';

/** What stands between two blocks of a message. */
export const BETWEEN_BLOCKS = '\n';

/** Content that is a text is one block. */
export function asBlocks<Block>(content: string | readonly Block[]): readonly (Block | TextBlock)[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content;
}

/** Owned by one parse. */
export class TextBuilder {
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

  /** `between`: what separates it from the text before it. */
  append(text: string, between: string): void {
    if (text === '') return;
    this.#text += this.#text === '' ? text : between + text;
  }

  appendBlock(block: ShownBlock, between: string): void {
    switch (block.type) {
      case 'text':
        this.append(block.text, between);
        return;
      case 'image': {
        const { media_type: mediaType, data: base64 } = block.source;
        this.#images.push({ mediaType, base64, at: this.#text.length });
        return;
      }
      case 'document':
        this.#appendDocument(block, between);
        return;
      case 'search_result': {
        const texts = block.content.map(({ text }) => text);
        this.append([block.title, block.source, ...texts].join(BETWEEN_BLOCKS), between);
        return;
      }
      default:
        block satisfies never;
    }
  }

  #appendDocument({ source, title, context }: Extract<ShownBlock, { type: 'document' }>, between: string) {
    const head = [title, context].filter((text) => text !== undefined).join(BETWEEN_BLOCKS);
    this.append(head, between);
    const parts = asBlocks<ShownBlock>(source.type === 'text' ? source.data : source.content);
    for (const [index, part] of parts.entries())
      this.appendBlock(part, index === 0 && head === '' ? between : BETWEEN_BLOCKS);
  }
}
