/**
 * tools and tool_choice become the core's ToolUse: tools of the vendor's servers are dropped, deferred ones are offered once the
 * conversation has named them.
 */
import { Type } from 'typebox';
import type { Tool, ToolChoice, ToolUse } from '../../core/generation.ts';
import { showValue } from '../../schema/violation.ts';
import { invalid } from '../invalid.ts';
import { lenientReader } from '../lenient-body.ts';
import { checkArguments, takeToolName } from '../tool-rules.ts';
import { clientTool, isSearchTool, isServerTool } from './known-tools.ts';
import type { ConversationBody } from './schema.ts';
import { toolChangesOf } from './tool-changes.ts';
import { type ToolChoiceBody, ToolChoice as ToolChoiceSchema, Tool as ToolSchema } from './tool-schema.ts';

const MOST_TOOLS = 128;

const readList = lenientReader(
  Type.Object({ tools: Type.Optional(Type.Array(Type.Unknown(), { maxItems: MOST_TOOLS })) }),
);
/** Tools of other services lack what ours have: that they are such is said first. */
const readToolType = lenientReader(Type.Object({ type: ToolSchema.properties.type }));
const readTool = lenientReader(ToolSchema);
const readChoice = lenientReader(ToolChoiceSchema);

interface Offer {
  readonly tool: Tool;
  /** Its schema is not shown to the model until something in the conversation names the tool. */
  readonly deferred: boolean;
}

export interface ParsedTools {
  readonly use: ToolUse | undefined;
  /** What was not taken, as X-Dropped-Parameters names it. */
  readonly dropped: readonly string[];
}

export function parseTools({ tools, tool_choice, messages }: ConversationBody): ParsedTools {
  const list = readList({ tools }, '').tools ?? [];
  const choice = tool_choice === undefined ? undefined : readChoice(tool_choice, 'tool_choice');
  const changes = toolChangesOf(messages);
  const names = new Set<string>();
  const dropped = new Map<string, string>();
  const offers: Offer[] = [];
  for (const [index, raw] of list.entries()) {
    const { type, name } = fieldsOf(raw);
    if (isServerTool(type)) dropped.set(String(name ?? type), `tools.${type}`);
    else offers.push(parseOffer(raw, `tools[${index}]`, names));
  }
  for (const [name, { raw, path }] of changes.added)
    if (!names.has(name)) offers.push({ ...parseOffer(raw, path, names), deferred: false });
  const searched = list.some((raw) => isSearchTool(fieldsOf(raw).type));
  const isOffered = ({ tool: { name }, deferred }: Offer) =>
    name === choice?.name ||
    (!changes.removed.has(name) && (!deferred || searched || changes.available.has(name)));
  const offered = offers.filter(isOffered).map(({ tool }) => tool);
  return {
    use: useOf(offered, choice, { names, dropped: new Set(dropped.keys()) }),
    dropped: [...new Set(dropped.values())],
  };
}

function useOf(
  tools: readonly Tool[],
  choice: ToolChoiceBody | undefined,
  known: { readonly names: ReadonlySet<string>; readonly dropped: ReadonlySet<string> },
): ToolUse | undefined {
  if (choice?.name !== undefined && known.dropped.has(choice.name))
    throw invalid(
      'tool_choice.name',
      `tool_choice.name is ${showValue(choice.name)}, but that tool runs on its vendor’s servers and was dropped. Choose a tool that you run yourself.`,
    );
  if (tools.length === 0) {
    if (choice === undefined || choice.type === 'auto' || choice.type === 'none') return undefined;
    throw invalid('tool_choice', 'tool_choice asks for a call, but there are no tools.');
  }
  return {
    tools,
    choice: parseChoice(choice, known.names),
    ...(choice?.disable_parallel_tool_use && { single: true }),
  };
}

/** A tool that the client runs and that this API names by its type alone has the schema that is known of it. */
function parseOffer(raw: unknown, path: string, names: Set<string>): Offer {
  const { type, defer_loading } = fieldsOf(raw);
  const known = clientTool(type);
  const described = known === undefined ? raw : { ...(raw as object), type: undefined, ...known };
  return { tool: parseTool(described, path, names), deferred: defer_loading === true };
}

/** Of whatever it is: what is no object is refused by its reader. */
function fieldsOf(raw: unknown): Readonly<Record<string, unknown>> {
  return typeof raw === 'object' && raw !== null ? (raw as Readonly<Record<string, unknown>>) : {};
}

function parseTool(raw: unknown, path: string, names: Set<string>): Tool {
  readToolType(raw, path);
  const { name, description, input_schema, strict } = readTool(raw, path);
  checkArguments(input_schema, `${path}.input_schema`, { type: 'required' });
  takeToolName(name, path, names);
  return {
    name,
    ...(description !== undefined && { description }),
    parameters: input_schema,
    ...(strict && { strict }),
  };
}

function parseChoice(choice: ToolChoiceBody | undefined, names: ReadonlySet<string>): ToolChoice {
  if (choice === undefined) return 'auto';
  const { type, name } = choice;
  switch (type) {
    case 'auto':
      return 'auto';
    case 'none':
      return 'none';
    case 'any':
      return 'required';
    case 'tool':
      if (name !== undefined && names.has(name)) return { name };
      throw invalid(
        'tool_choice.name',
        `tool_choice.name is ${showValue(name)}, but the tools are ${[...names].join(', ')}.`,
      );
    default:
      throw type satisfies never;
  }
}
