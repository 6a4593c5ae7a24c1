/**
 * tools and tool_choice become the core's ToolUse: tools of the vendor's servers are dropped, deferred ones are offered once the
 * conversation has named them.
 */

import { Type } from 'typebox';
import type { Tool, ToolChoice, ToolUse } from '../../core/generation.ts';
import { showValue } from '../../schema/violation.ts';
import { nullableBodyReader } from '../body-reader.ts';
import { invalid } from '../field-errors.ts';
import { checkParameters, requireUniqueName } from '../tools.ts';
import {
  type ConversationBody,
  type ToolBody,
  type ToolChoiceBody,
  ToolChoice as ToolChoiceSchema,
  Tool as ToolSchema,
} from './schema.ts';

const MAX_TOOLS = 128;

const readList = nullableBodyReader(
  Type.Object({ tools: Type.Optional(Type.Array(Type.Unknown(), { maxItems: MAX_TOOLS })) }),
);
/** Tools of other services lack what ours have: that they are such is said first. */
const readToolType = nullableBodyReader(Type.Object({ type: ToolSchema.properties.type }));
const readTool = nullableBodyReader(ToolSchema);
const readChoice = nullableBodyReader(ToolChoiceSchema);

interface Offer {
  readonly tool: Tool;
  /** Its schema is not shown to the model until something in the conversation names the tool. */
  readonly deferred: boolean;
}

interface ParsedTools {
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
  checkParameters(input_schema, `${path}.input_schema`, { type: 'required' });
  requireUniqueName(name, path, names);
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

/**
 * Tools that this API names by a type with a date instead of describing them. Those that run on its own servers are dropped;
 * those that the client runs are offered as functions, with the arguments that the client's side of them takes. Pure.
 */

const SERVER_TOOL =
  /^(web_search|web_fetch|code_execution|tool_search_tool(_regex|_bm25)?|mcp_toolset|advisor)(_\d{8})?$/;
const SEARCH_TOOL = /^tool_search_tool/;

/** `web_search_20250305` and the like: nobody here could run it. */
function isServerTool(type: unknown): type is string {
  return typeof type === 'string' && SERVER_TOOL.test(type);
}

/** It would find the tools whose loading is deferred. */
function isSearchTool(type: unknown): boolean {
  return typeof type === 'string' && SEARCH_TOOL.test(type);
}

const SERVER_BLOCK =
  /^(server_tool_use|mcp_tool_use|container_upload|(web_search|web_fetch|code_execution|bash_code_execution|text_editor_code_execution|tool_search|mcp|advisor)_tool_result)$/;

/** What a tool of the vendor's servers left in an earlier answer. */
export function isServerBlock(type: unknown): type is string {
  return typeof type === 'string' && SERVER_BLOCK.test(type);
}

const text = { type: 'string' } as const;
const lines = { type: 'array', items: { type: 'integer' }, minItems: 2, maxItems: 2 } as const;

function commands(names: readonly string[], others: object): ToolBody['input_schema'] {
  return { type: 'object', properties: { command: { enum: names }, ...others }, required: ['command'] };
}

/** By what stands before the date. */
const CLIENT_TOOLS: Readonly<Record<string, Omit<ToolBody, 'name' | 'type'>>> = {
  bash: {
    description: 'Runs a command in a shell that stays open between calls, and answers what it printed.',
    input_schema: {
      type: 'object',
      properties: { command: text, restart: { type: 'boolean', description: 'true: a new shell.' } },
    },
  },
  text_editor: {
    description:
      'Views, creates and edits text files. `view` takes path and view_range, `create` path and file_text, ' +
      '`str_replace` path, old_str (found exactly once) and new_str, `insert` path, insert_line and insert_text.',
    input_schema: commands(['view', 'create', 'str_replace', 'insert'], {
      path: text,
      view_range: lines,
      file_text: text,
      old_str: text,
      new_str: text,
      insert_line: { type: 'integer' },
      insert_text: text,
    }),
  },
  memory: {
    description:
      'Reads and writes notes that are kept between conversations, as files under /memories. `view` takes path and ' +
      'view_range, `create` path and file_text, `str_replace` path, old_str and new_str, `insert` path, insert_line and ' +
      'insert_text, `delete` path, `rename` old_path and new_path.',
    input_schema: commands(['view', 'create', 'str_replace', 'insert', 'delete', 'rename'], {
      path: text,
      view_range: lines,
      file_text: text,
      old_str: text,
      new_str: text,
      insert_line: { type: 'integer' },
      insert_text: text,
      old_path: text,
      new_path: text,
    }),
  },
};

/** Undefined for any other type. */
function clientTool(type: unknown): Omit<ToolBody, 'name' | 'type'> | undefined {
  const family = typeof type === 'string' ? /^(.+)_\d{8}$/.exec(type)?.[1] : undefined;
  return family !== undefined && Object.hasOwn(CLIENT_TOOLS, family) ? CLIENT_TOOLS[family] : undefined;
}

/**
 * Which tools come and go in the course of a conversation: a tool_reference in the result of a search makes a deferred tool
 * available, blocks of a system message add tools and take them away. Pure.
 */
interface ToolChanges {
  /** Defined in the conversation, each with where; the last definition of a name counts. */
  readonly added: ReadonlyMap<string, { readonly raw: unknown; readonly path: string }>;
  /** Named by a reference, and not taken away since. */
  readonly available: ReadonlySet<string>;
  readonly removed: ReadonlySet<string>;
}

function toolChangesOf(messages: readonly unknown[]): ToolChanges {
  const added = new Map<string, { readonly raw: unknown; readonly path: string }>();
  const available = new Set<string>();
  const removed = new Set<string>();
  const offer = (name: unknown) => {
    if (typeof name !== 'string') return;
    available.add(name);
    removed.delete(name);
  };
  for (const { block, path } of blocksIn(messages)) {
    const { type, tool } = block;
    if (type === 'tool_reference') offer(block.tool_name);
    const { type: kind, name } = recordOf(tool);
    if (type === 'tool_addition') {
      offer(name);
      if (kind !== 'tool_reference' && typeof name === 'string')
        added.set(name, { raw: tool, path: `${path}.tool` });
    }
    if (type === 'tool_removal' && typeof name === 'string') {
      available.delete(name);
      removed.add(name);
    }
  }
  return { added, available, removed };
}

type Fields = Readonly<Record<string, unknown>>;

/** The blocks of all messages, those inside results too. */
function* blocksIn(
  messages: readonly unknown[],
): Generator<{ readonly block: Fields; readonly path: string }> {
  for (const [index, message] of messages.entries()) {
    for (const outer of entriesOf(recordOf(message).content, `messages[${index}].content`)) {
      yield outer;
      if (outer.block.type === 'tool_result') yield* entriesOf(outer.block.content, `${outer.path}.content`);
    }
  }
}

function entriesOf(content: unknown, path: string) {
  if (!Array.isArray(content)) return [];
  return content.map((block: unknown, index) => ({ block: recordOf(block), path: `${path}[${index}]` }));
}

function recordOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
