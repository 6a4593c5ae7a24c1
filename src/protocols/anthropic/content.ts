/** Content becomes the blocks that its place allows, each with where it stands in the body. */
import { showValue } from '../../schema/violation.ts';
import { invalid } from '../invalid.ts';
import { lenientReader } from '../lenient-body.ts';
import { BLOCKS, type Blocks, type BlockType } from './content-schema.ts';

/** A block, and where it stands in the body. */
export type Placed<Name extends BlockType> = {
  readonly [Each in Name]: { readonly block: Blocks[Each]; readonly path: string };
}[Name];

const TEXT_ONLY = ['text'] as const;
const SHOWN = ['text', 'image', 'document', 'search_result'] as const;
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
  return raw.map((block: unknown, index) => readBlock(block, `${path}[${index}]`, allowed));
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

/** A list of blocks, or a text, of what can be shown to a model. */
export function readShown(raw: unknown, path: string, where: string): readonly Placed<ShownBlock>[] {
  return readContent(raw, path, { types: SHOWN, where });
}
