/**
 * The tools of a response as models take them: all are functions with names of their own. Those of a namespace carry its name in
 * front of theirs, and a custom tool, whose call is a text, takes that text as its one argument. Remembers where each name came
 * from, so that calls are shown under the client's names.
 */
import type { Tool, ToolChoice, ToolUse } from '../../../core/generation.ts';
import { showValue } from '../../../schema/violation.ts';
import { invalid } from '../../field-errors.ts';
import { checkParameters } from '../../tools.ts';
import { unsupported } from '../errors.ts';
import type { ToolChoiceEcho, ToolEcho } from './answer-schema.ts';
import type {
  AllowedTools,
  CustomTool,
  FunctionTool,
  KnownItem,
  KnownTool,
  ResponsesBody,
  ToolBody,
  ToolName,
} from './schema.ts';

/** A tool as the client knows it. */
export interface ToolOrigin {
  readonly kind: 'function' | 'custom';
  readonly name: string;
  readonly namespace?: string;
}

interface OfferedTool extends ToolOrigin {
  readonly tool: Tool;
}

export interface OfferedTools {
  readonly list: readonly OfferedTool[];
  /** As the answer repeats them. */
  readonly echo: readonly ToolEcho[];
  /** What was dropped, as X-Dropped-Parameters names it. */
  readonly dropped: readonly string[];
}

/** Tools of the vendor's servers, and those that only models trained for them can call. They are dropped. */
const HOSTED_TOOL =
  /^(web_search|web_search_preview|file_search|code_interpreter|image_generation|computer|computer_use|computer_use_preview|computer-preview|mcp|local_shell|shell|apply_patch|tool_search|programmatic_tool_calling)(_\d{4}_\d{2}_\d{2}|_\d{8})?$/;

/** Longer names are rejected by servers. */
const MAX_NAME_LENGTH = 64;
/** Those of namespaces included. */
const MAX_TOOLS = 512;

/** `tools`, and those that come with the input. */
export function parseTools(body: Pick<ResponsesBody, 'tools' | 'input'>): OfferedTools {
  const collector = new ToolCollector();
  const echo = definitionsIn(body).flatMap(({ tool, path }): ToolEcho[] => {
    if (HOSTED_TOOL.test(tool.type)) {
      collector.dropped.add(`tools.${tool.type}`);
      return [];
    }
    // The schema allows other types too: they go to parseTool.
    const known = tool as KnownTool;
    if (known.type !== 'namespace') return [collector.add(parseTool(tool, path), path)];
    const { type, name, description, tools } = known;
    const inner = tools.map((each, index) => {
      const innerPath = `${path}.tools[${index}]`;
      const parsed = parseTool(each, innerPath);
      // The model sees the description of a namespace with its first tool: there is no other place for it.
      return collector.add(index === 0 ? withPreface(parsed, description) : parsed, innerPath, name);
    });
    return [{ type, name, description: description ?? null, tools: inner }];
  });
  return { list: collector.list, echo, dropped: [...collector.dropped] };
}

/** Gives each tool a name of its own for the model. Owned by one parse. */
class ToolCollector {
  readonly list: OfferedTool[] = [];
  readonly dropped = new Set<string>();
  /** Namespace and name of each tool. */
  readonly #known = new Set<string>();
  readonly #modelNames = new Set<string>();

  /** The tool as the answer repeats it. */
  add({ kind, tool, echo, dropped }: ParsedTool, path: string, namespace?: string): ParsedTool['echo'] {
    const origin: ToolOrigin = { kind, name: echo.name, ...(namespace !== undefined && { namespace }) };
    const key = `${namespace ?? ''} ${echo.name}`;
    if (this.#known.has(key))
      throw invalid(
        `${path}.name`,
        `${path}.name is ${showValue(echo.name)}, as that of another tool. Each needs its own.`,
      );
    if (this.list.length === MAX_TOOLS)
      throw invalid('tools', `tools has more than ${MAX_TOOLS} tools in all. Offer fewer.`);
    this.#known.add(key);
    const name = uniqueName(qualifiedName(origin), this.#modelNames);
    this.#modelNames.add(name);
    this.list.push({ ...origin, tool: { ...tool, name } });
    if (dropped !== undefined) this.dropped.add(dropped);
    return echo;
  }
}

interface Definition {
  readonly tool: ToolBody;
  readonly path: string;
}

/** A definition that comes with the input takes the place of an earlier one. */
function definitionsIn({ tools = [], input }: Pick<ResponsesBody, 'tools' | 'input'>): readonly Definition[] {
  const listed = tools.map((tool, index) => ({ tool, path: `tools[${index}]` }));
  if (typeof input === 'string') return listed;
  const added = input.flatMap((item, index) => {
    const known = item as KnownItem;
    if (known.type !== 'additional_tools') return [];
    return [known.tools.map((tool, at) => ({ tool, path: `input[${index}].tools[${at}]` }))];
  });
  return lastOfEach([listed, ...added]);
}

/** Within one list a name that comes twice stays, to be rejected. */
function lastOfEach(lists: readonly (readonly Definition[])[]): readonly Definition[] {
  const keyOf = (tool: ToolBody) => `${tool.type} ${'name' in tool ? tool.name : ''}`;
  const later = new Set<string>();
  const kept = lists.toReversed().map((list) => {
    const latest = list.filter(({ tool }) => !later.has(keyOf(tool)));
    for (const { tool } of list) later.add(keyOf(tool));
    return latest;
  });
  return kept.toReversed().flat();
}

interface ParsedTool {
  readonly kind: ToolOrigin['kind'];
  readonly tool: Omit<Tool, 'name'>;
  readonly echo: Exclude<ToolEcho, { readonly type: 'namespace' }>;
  readonly dropped?: string;
}

function parseTool(tool: ToolBody, path: string): ParsedTool {
  const known = tool as KnownTool;
  switch (known.type) {
    case 'function':
      return functionTool(known, path);
    case 'custom':
      return customTool(known);
    default:
      throw unsupported(
        `${path}.type`,
        `is ${showValue(tool.type)}, but must be "function", "custom" or "namespace". Offer a function, and run it yourself.`,
      );
  }
}

function functionTool({ name, description, parameters, strict }: FunctionTool, path: string): ParsedTool {
  if (parameters !== undefined) checkParameters(parameters, `${path}.parameters`);
  return {
    kind: 'function',
    tool: {
      ...(description !== undefined && { description }),
      ...(parameters !== undefined && { parameters }),
      ...(strict && { strict }),
    },
    echo: {
      type: 'function',
      name,
      description: description ?? null,
      parameters: parameters ?? null,
      strict: strict ?? null,
    },
  };
}

/** A grammar is shown to the model and not enforced: the argument is a text within JSON, which no grammar of its own reaches. */
function customTool({ name, description, format = { type: 'text' } }: CustomTool): ParsedTool {
  const grammar =
    format.type === 'grammar'
      ? `The input follows this ${format.syntax ?? ''} grammar:\n${format.definition ?? ''}`
      : undefined;
  const shown = [description, grammar].filter((part) => part !== undefined && part !== '').join('\n\n');
  return {
    kind: 'custom',
    tool: {
      ...(shown !== '' && { description: shown }),
      parameters: {
        type: 'object',
        properties: { input: { type: 'string', description: 'The whole input of the tool, as plain text.' } },
        required: ['input'],
        additionalProperties: false,
      },
    },
    echo: { type: 'custom', name, description: description ?? null, format },
    ...(grammar !== undefined && { dropped: `tools.${name}.format` }),
  };
}

function withPreface(found: ParsedTool, preface = ''): ParsedTool {
  if (preface === '') return found;
  const { description } = found.tool;
  const shown = description === undefined ? preface : `${preface}\n\n${description}`;
  return { ...found, tool: { ...found.tool, description: shown } };
}

function qualifiedName({ name, namespace }: Omit<ToolOrigin, 'kind'>): string {
  if (namespace === undefined) return name;
  const between = namespace.endsWith('__') ? '' : '__';
  return `${namespace}${between}${name}`.slice(0, MAX_NAME_LENGTH);
}

function uniqueName(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name;
  for (let count = 2; ; count += 1) {
    const suffix = `_${count}`;
    const other = name.slice(0, MAX_NAME_LENGTH - suffix.length) + suffix;
    if (!taken.has(other)) return other;
  }
}

/** What the model calls a tool of earlier calls, be it offered now or not. */
export function modelNameOf({ list }: OfferedTools, origin: Pick<ToolOrigin, 'name' | 'namespace'>): string {
  const offered = list.find(({ name, namespace }) => name === origin.name && namespace === origin.namespace);
  return offered?.tool.name ?? qualifiedName(origin);
}

/** What the client calls a tool that the model has called. */
export function originOf({ list }: OfferedTools, modelName: string): ToolOrigin {
  const offered = list.find(({ tool }) => tool.name === modelName);
  return offered ?? { kind: 'function', name: modelName };
}

interface ParsedToolUse {
  /** tool_choice as the answer repeats it. */
  readonly toolChoice: ToolChoiceEcho;
  /** Undefined where there are no tools; those that may not be called are shown to the model all the same. */
  readonly use: ToolUse | undefined;
}

export function parseToolUse(
  { tool_choice = 'auto', parallel_tool_calls }: ResponsesBody,
  tools: OfferedTools,
): ParsedToolUse {
  const { toolChoice, choice, allowed } = parseToolChoice(tool_choice, tools);
  if (tools.list.length > 0) {
    const offered = allowed === undefined ? tools.list : tools.list.filter((each) => allowed.has(each));
    const isSingle = parallel_tool_calls === false && choice !== 'none';
    return {
      toolChoice,
      use: { tools: offered.map(({ tool }) => tool), choice, ...(isSingle && { single: true }) },
    };
  }
  if (choice !== 'required') return { toolChoice, use: undefined };
  const dropped = tools.dropped.length === 0 ? '' : ` (${tools.dropped.join(', ')} cannot run here)`;
  throw invalid(
    'tool_choice',
    `tool_choice is "required", but there are no tools${dropped}. Give tools too.`,
  );
}

interface ParsedChoice {
  readonly toolChoice: ToolChoiceEcho;
  readonly choice: ToolChoice;
  /** Absent: all tools. */
  readonly allowed?: ReadonlySet<OfferedTool>;
}

function parseToolChoice(
  given: NonNullable<ResponsesBody['tool_choice']>,
  tools: OfferedTools,
): ParsedChoice {
  if (typeof given === 'string') return { toolChoice: given, choice: given };
  if (given.type !== 'allowed_tools') {
    const { name, offered } = findTool(given, 'tool_choice', tools);
    return { toolChoice: name, choice: { name: offered.tool.name } };
  }
  const { type, mode, tools: entries } = given as AllowedTools;
  const found = entries.map((each, index) => findTool(each, `tool_choice.tools[${index}]`, tools));
  return {
    toolChoice: { type, mode, tools: found.map(({ name }) => name) },
    choice: mode,
    allowed: new Set(found.map(({ offered }) => offered)),
  };
}

/** Without a namespace: the first of that name. */
function findTool(
  given: ToolName | { readonly type: string },
  path: string,
  { list }: OfferedTools,
): { readonly name: ToolName; readonly offered: OfferedTool } {
  if (given.type !== 'function' && given.type !== 'custom') {
    const why = HOSTED_TOOL.test(given.type)
      ? 'that tool cannot run here and was dropped. Choose a function or a custom tool'
      : `must be ${path === 'tool_choice' ? '"function", "custom" or "allowed_tools"' : '"function" or "custom"'}`;
    throw invalid(`${path}.type`, `${path}.type is ${showValue(given.type)}, but ${why}.`);
  }
  const { type, name, namespace } = given as ToolName;
  const offered = list.find(
    (each) =>
      each.kind === type && each.name === name && (namespace === undefined || each.namespace === namespace),
  );
  if (offered !== undefined)
    return { name: { type, name, ...(namespace !== undefined && { namespace }) }, offered };
  const known =
    list.length === 0 ? 'there are no tools' : `the tools are ${list.map((each) => each.name).join(', ')}`;
  throw invalid(`${path}.name`, `${path}.name is ${showValue(name)}, but ${known}.`);
}
