/** Content becomes the blocks that its place allows, each with where it stands in the body. */

import type { Image } from '../../core/generation.ts';
import { showValue } from '../../schema/violation.ts';
import { nullableBodyReader } from '../body-reader.ts';
import { invalid } from '../field-errors.ts';
import { BLOCKS, type Blocks, type BlockType, ImageSource, TextSource } from './schema.ts';
import { isServerBlock } from './tools.ts';

/** A block, and where it stands in the body. */
export type Placed<Name extends BlockType> = {
  readonly [Each in Name]: { readonly block: Blocks[Each]; readonly path: string };
}[Name];

const TEXT_ONLY = ['text'] as const;
const SHOWN = ['text', 'image', 'document', 'search_result'] as const;
const IN_RESULTS = [...SHOWN, 'tool_reference'] as const;
const IN_SYSTEM = ['text', 'tool_addition', 'tool_removal'] as const;
export type ShownBlock = (typeof SHOWN)[number];

const READERS = Object.fromEntries(
  Object.entries(BLOCKS).map(([type, schema]) => [type, nullableBodyReader(schema)]),
) as Readonly<Record<BlockType, (raw: unknown, path: string) => Blocks[BlockType]>>;

/** A text is one block. `where`: "a message with role \"user\"". */
export function readContent<Name extends BlockType>(
  raw: unknown,
  path: string,
  allowed: { readonly types: readonly Name[]; readonly where: string },
): readonly Placed<Name>[] {
  if (typeof raw === 'string') return [{ block: { type: 'text', text: raw }, path } as Placed<Name>];
  if (raw === undefined || raw === null)
    throw invalid(path, `${path} is missing. It must be a string or a list of content blocks.`);
  if (!Array.isArray(raw))
    throw invalid(path, `${path} is ${showValue(raw)}, but must be a string or a list of content blocks.`);
  return raw.flatMap((block: unknown, index) =>
    isServerBlock(typeOf(block)) ? [] : [readBlock(block, `${path}[${index}]`, allowed)],
  );
}

/** What tools of the vendor's servers left in the conversation: dropped, for nobody here can read it. Each kind once. */
export function serverBlocksIn(messages: readonly unknown[]): readonly string[] {
  const kinds = new Set<string>();
  for (const message of messages) {
    const content: unknown =
      typeof message === 'object' && message !== null ? Reflect.get(message, 'content') : undefined;
    if (!Array.isArray(content)) continue;
    for (const block of content) {
      const type = typeOf(block);
      if (isServerBlock(type)) kinds.add(`messages.${type}`);
    }
  }
  return [...kinds];
}

function typeOf(block: unknown): unknown {
  return typeof block === 'object' && block !== null ? Reflect.get(block, 'type') : undefined;
}

function readBlock<Name extends BlockType>(
  raw: unknown,
  path: string,
  { types, where }: { readonly types: readonly Name[]; readonly where: string },
): Placed<Name> {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
    throw invalid(path, `${path} is ${showValue(raw)}, but must be a content block: an object with a type.`);
  const given: unknown = Reflect.get(raw, 'type');
  const type = types.find((known) => known === given);
  if (type === undefined)
    throw invalid(
      `${path}.type`,
      `${path}.type is ${showValue(given)}, but ${where} takes ${types.map((known) => JSON.stringify(known)).join(', ')}.`,
    );
  return { block: READERS[type](raw, path), path } as Placed<Name>;
}

function readTextBlocks(raw: unknown, path: string, where: string): readonly Placed<'text'>[] {
  return readContent(raw, path, { types: TEXT_ONLY, where });
}

/** A list of blocks, or a text, of what a tool gives back. */
export function readResult(raw: unknown, path: string): readonly Placed<ShownBlock | 'tool_reference'>[] {
  return readContent(raw, path, { types: IN_RESULTS, where: 'a tool_result' });
}

export function readSystem(
  raw: unknown,
  path: string,
): readonly Placed<'text' | 'tool_addition' | 'tool_removal'>[] {
  return readContent(raw, path, { types: IN_SYSTEM, where: 'a system prompt' });
}

/** The text of one message, and the pictures between its characters, put together from content blocks. */

const readImageSource = nullableBodyReader(ImageSource);
const readTextSource = nullableBodyReader(TextSource);

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

  /** `between`: what stands between it and the text before it. */
  append(text: string, between: string): void {
    if (text === '') return;
    this.#text += this.#text === '' ? text : between + text;
  }

  /** Pictures of a text that is told elsewhere. */
  appendImages(images: readonly Image[]): void {
    this.#images.push(...images.map((image) => ({ ...image, at: this.#text.length })));
  }

  appendBlock({ block, path }: Placed<ShownBlock>, between: string): void {
    switch (block.type) {
      case 'text':
        this.append(block.text, between);
        return;
      case 'image':
        this.#images.push({ ...readImage(block.source, `${path}.source`), at: this.#text.length });
        return;
      case 'document':
        this.#showDocument(block, path, between);
        return;
      case 'search_result': {
        const texts = readTextBlocks(block.content, `${path}.content`, 'a search result');
        this.append([block.title, block.source, ...texts.map((each) => each.block.text)].join('\n'), between);
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
      this.append(head, between);
      const parts = readContent(Reflect.get(source, 'content'), `${place}.content`, {
        types: ['text', 'image'] as const,
        where: 'a document',
      });
      for (const [index, part] of parts.entries())
        this.appendBlock(part, index === 0 && head === '' ? between : '\n');
      return;
    }
    if (type !== 'text')
      throw invalid(
        `${place}.type`,
        `${place}.type is ${showValue(type)}, but must be "text" or "content": the server reads no files and fetches nothing.`,
      );
    const { data } = readTextSource(source, place);
    this.append(head === '' ? data : `${head}\n${data}`, between);
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
