/** Content becomes the blocks that its place allows, each with where it stands in the body. */
import { showValue } from '../../schema/violation.ts';
import { invalid } from '../invalid.ts';
import { lenientReader } from '../lenient-body.ts';
import { BLOCKS, type Blocks, type BlockType } from './content-schema.ts';
import { isServerBlock } from './known-tools.ts';

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
  Object.entries(BLOCKS).map(([type, schema]) => [type, lenientReader(schema)]),
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

export function readTextBlocks(raw: unknown, path: string, where: string): readonly Placed<'text'>[] {
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
