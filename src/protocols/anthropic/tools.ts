/**
 * tools and tool_choice become the core's ToolUse. Tools of the vendor's servers are dropped, with the blocks that they left in the
 * conversation; deferred tools are offered once the conversation has named them.
 */
import type { Tool, ToolChoice, ToolUse } from '../../core/generation.ts';
import { showValue } from '../../schema/violation.ts';
import { invalid } from '../field-errors.ts';
import { checkParameters, requireUniqueName } from '../tools.ts';
import type {
  ClientTool,
  CountBody,
  CustomTool,
  MessageBody,
  ServerBlock,
  ServerTool,
  ToolChoiceBody,
  ToolResultBlock,
} from './schema.ts';
import { SERVER_BLOCK_TYPES } from './schema.ts';

/** Deferred ones that the conversation has not named do not count: the model is not shown them. */
const MAX_OFFERED = 512;
/** In the error about a name that is not among them. */
const MAX_NAMES_SHOWN = 50;

interface ParsedTools {
  readonly use: ToolUse | undefined;
  /** As X-Dropped-Parameters names them: each type of tool and of block once. */
  readonly dropped: readonly string[];
}

export function parseTools({ tools = [], tool_choice: choice, messages }: CountBody): ParsedTools {
  const changes = toolChangesIn(messages);
  const names = new Set<string>();
  const droppedNames = new Set<string>();
  const dropped = new Set<string>();
  const offers: Offer[] = [];
  for (const [index, tool] of tools.entries()) {
    if (isServerTool(tool)) {
      droppedNames.add(tool.name ?? tool.type);
      dropped.add(`tools.${tool.type}`);
    } else offers.push(parseOffer(tool, `tools[${index}]`, names));
  }
  for (const [name, { tool, path }] of changes.added)
    if (!names.has(name)) offers.push({ ...parseOffer(tool, path, names), deferred: false });
  for (const name of serverBlocksIn(messages)) dropped.add(name);
  const forced = choice?.type === 'tool' ? choice.name : undefined;
  if (forced !== undefined && droppedNames.has(forced))
    throw invalid(
      'tool_choice.name',
      `tool_choice.name is ${showValue(forced)}, but that tool runs on its vendor’s servers and was dropped. Choose a tool that you run yourself.`,
    );
  // The search that would name the deferred tools is dropped, so all of them are offered.
  const searched = tools.some(({ type = '' }) => type.startsWith('tool_search_tool'));
  const isOffered = ({ tool: { name }, deferred }: Offer) =>
    name === forced || (!changes.removed.has(name) && (!deferred || searched || changes.available.has(name)));
  const offered = offers.filter(isOffered).map(({ tool }) => tool);
  if (offered.length > MAX_OFFERED)
    throw invalid(
      'tools',
      `tools offers the model ${offered.length} tools, but ${MAX_OFFERED} are the most. Offer fewer, or defer the loading of some.`,
    );
  return { use: toolUse(offered, choice, names), dropped: [...dropped] };
}

interface Offer {
  readonly tool: Tool;
  /** Not shown to the model until the conversation names the tool. */
  readonly deferred: boolean;
}

/** `path`: of the tool in the body. */
function parseOffer(tool: CustomTool | ClientTool, path: string, names: Set<string>): Offer {
  const { name, strict, defer_loading: deferred = false } = tool;
  const { description, input_schema } = clientTool(tool.type) ?? (tool as CustomTool);
  checkParameters(input_schema, `${path}.input_schema`, { type: 'required' });
  requireUniqueName(name, path, names);
  return {
    tool: {
      name,
      ...(description !== undefined && { description }),
      parameters: input_schema,
      ...(strict && { strict }),
    },
    deferred,
  };
}

function toolUse(
  tools: readonly Tool[],
  choice: ToolChoiceBody | undefined,
  names: ReadonlySet<string>,
): ToolUse | undefined {
  if (tools.length > 0)
    return {
      tools,
      choice: parseChoice(choice, names),
      ...(choice?.disable_parallel_tool_use && { single: true }),
    };
  if (choice === undefined || choice.type === 'auto' || choice.type === 'none') return undefined;
  throw invalid('tool_choice', 'tool_choice asks for a call, but there are no tools.');
}

function parseChoice(choice: ToolChoiceBody | undefined, names: ReadonlySet<string>): ToolChoice {
  if (choice === undefined) return 'auto';
  switch (choice.type) {
    case 'auto':
    case 'none':
      return choice.type;
    case 'any':
      return 'required';
    case 'tool':
      if (names.has(choice.name)) return { name: choice.name };
      throw invalid(
        'tool_choice.name',
        `tool_choice.name is ${showValue(choice.name)}, but the tools are ${listed([...names])}.`,
      );
    default:
      throw choice satisfies never;
  }
}

function listed(names: readonly string[]): string {
  const more = names.length - MAX_NAMES_SHOWN;
  return more > 0 ? `${names.slice(0, MAX_NAMES_SHOWN).join(', ')} and ${more} more` : names.join(', ');
}

// What comes and goes in the conversation

interface ToolChanges {
  /** Defined in the conversation, by name; the last definition counts. */
  readonly added: ReadonlyMap<string, { readonly tool: CustomTool | ClientTool; readonly path: string }>;
  /** Named by the result of a search or by a system message, and not removed since. */
  readonly available: ReadonlySet<string>;
  readonly removed: ReadonlySet<string>;
}

function toolChangesIn(messages: readonly MessageBody[]): ToolChanges {
  const added = new Map<string, { readonly tool: CustomTool | ClientTool; readonly path: string }>();
  const available = new Set<string>();
  const removed = new Set<string>();
  const offer = (name: string) => {
    available.add(name);
    removed.delete(name);
  };
  for (const [index, { content }] of messages.entries()) {
    if (typeof content === 'string') continue;
    for (const [position, block] of content.entries()) {
      if (block.type === 'tool_result') for (const name of referencesIn(block.content)) offer(name);
      if (block.type === 'tool_removal') {
        available.delete(block.tool.name);
        removed.add(block.tool.name);
      }
      if (block.type === 'tool_addition') {
        const { tool } = block;
        offer(tool.name);
        if (tool.type !== 'tool_reference')
          added.set(tool.name, { tool, path: `messages[${index}].content[${position}].tool` });
      }
    }
  }
  return { added, available, removed };
}

function referencesIn(content: ToolResultBlock['content'] = []): readonly string[] {
  if (typeof content === 'string') return [];
  return content.flatMap((block) => (block.type === 'tool_reference' ? [block.tool_name] : []));
}

function serverBlocksIn(messages: readonly MessageBody[]): readonly string[] {
  return messages.flatMap(({ content }) =>
    typeof content === 'string' ? [] : content.filter(isServerBlock).map(({ type }) => `messages.${type}`),
  );
}

// Tools that this API names by their type

type ToolDefinition = Pick<CustomTool, 'description' | 'input_schema'>;

const text = { type: 'string' } as const;
const lines = { type: 'array', items: { type: 'integer' }, minItems: 2, maxItems: 2 } as const;

/** Of the commands that view and edit a file. */
const EDITOR_ARGUMENTS = {
  path: text,
  view_range: lines,
  file_text: text,
  old_str: text,
  new_str: text,
  insert_line: { type: 'integer' },
  insert_text: text,
};

function commands(names: readonly string[], others: object): CustomTool['input_schema'] {
  return { type: 'object', properties: { command: { enum: names }, ...others }, required: ['command'] };
}

/** The arguments of tools that this API names by a type with a date instead of describing them; by the type without its date. */
const CLIENT_TOOLS: Readonly<Record<string, ToolDefinition>> = {
  bash: {
    description: 'Runs a command in a shell that stays open between calls, and returns what it printed.',
    input_schema: {
      type: 'object',
      properties: { command: text, restart: { type: 'boolean', description: 'true: a new shell.' } },
    },
  },
  text_editor: {
    description:
      'Views, creates and edits text files. `view` takes path and view_range, `create` path and file_text, ' +
      '`str_replace` path, old_str (found exactly once) and new_str, `insert` path, insert_line and insert_text.',
    input_schema: commands(['view', 'create', 'str_replace', 'insert'], EDITOR_ARGUMENTS),
  },
  memory: {
    description:
      'Reads and writes notes that are kept between conversations, as files under /memories. `view` takes path and ' +
      'view_range, `create` path and file_text, `str_replace` path, old_str and new_str, `insert` path, insert_line and ' +
      'insert_text, `delete` path, `rename` old_path and new_path.',
    input_schema: commands(['view', 'create', 'str_replace', 'insert', 'delete', 'rename'], {
      ...EDITOR_ARGUMENTS,
      old_path: text,
      new_path: text,
    }),
  },
};

/** Undefined for any other type. */
function clientTool(type = ''): ToolDefinition | undefined {
  const family = type.replace(/_\d{8}$/, '');
  return Object.hasOwn(CLIENT_TOOLS, family) ? CLIENT_TOOLS[family] : undefined;
}

function isServerTool(tool: CustomTool | ClientTool | ServerTool): tool is ServerTool {
  return tool.type !== undefined && tool.type !== 'custom' && clientTool(tool.type) === undefined;
}

/** Left in an earlier answer by a tool of the vendor's servers. */
export function isServerBlock(block: { readonly type: string }): block is ServerBlock {
  return SERVER_BLOCK_TYPES.has(block.type);
}
