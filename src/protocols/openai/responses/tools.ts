/**
 * Tools and items of the official API that nothing here could run or read: tools of its vendor's servers, and those that only
 * models trained for them know how to call. Both are dropped, and named. Pure.
 */

import type { Tool, ToolChoice, ToolUse } from '../../../core/generation.ts';
import { showValue } from '../../../schema/violation.ts';
import { nullableBodyReader } from '../../body-reader.ts';
import { invalid } from '../../field-errors.ts';
import { checkParameters } from '../../tools.ts';
import { unknownTool } from './refusals.ts';
import {
  AdditionalToolsItem,
  AllowedTools,
  CustomTool,
  FunctionTool,
  NamedChoice,
  NamespaceHead,
  type ResponsesFields,
  type ToolChoiceBody,
  type ToolEcho,
} from './schema.ts';

const HOSTED_TOOL =
  /^(web_search|web_search_preview|file_search|code_interpreter|image_generation|computer|computer_use|computer_use_preview|computer-preview|mcp|local_shell|shell|apply_patch|tool_search|programmatic_tool_calling)(_\d{4}_\d{2}_\d{2}|_\d{8})?$/;

function isHostedTool(type: unknown): type is string {
  return typeof type === 'string' && HOSTED_TOOL.test(type);
}

const HOSTED_ITEM =
  /^(web_search_call|file_search_call|code_interpreter_call|image_generation_call|computer_call|computer_call_output|mcp_list_tools|mcp_call|mcp_approval_request|mcp_approval_response|tool_search_call|tool_search_output)$/;

/** What such a tool left in an earlier response. */
export function isHostedItem(type: unknown): type is string {
  return typeof type === 'string' && HOSTED_ITEM.test(type);
}

const SHELL_CALL = /^(local_shell|shell|apply_patch)_call$/;
const SHELL_OUTPUT = /^(local_shell|shell|apply_patch)_call_output$/;

/** `local_shell_call` → `local_shell`: a call that the client ran itself, so the model may read of it. */
export function shellToolOf(type: unknown): string | undefined {
  return typeof type === 'string' ? SHELL_CALL.exec(type)?.[1] : undefined;
}

export function isShellOutput(type: unknown): boolean {
  return typeof type === 'string' && SHELL_OUTPUT.test(type);
}

/**
 * The tools of a response as models take them: all are functions with names of their own. Those of a namespace carry its name in
 * front of theirs, and a custom tool, whose call is a text, takes that text as its one argument. Remembers where each name came
 * from, so that calls are told as the client knows them.
 */

const readFunction = nullableBodyReader(FunctionTool);
const readCustom = nullableBodyReader(CustomTool);
const readNamespace = nullableBodyReader(NamespaceHead);
const readAdditional = nullableBodyReader(AdditionalToolsItem);

/** Servers take no longer names. */
const MAX_NAME_LENGTH = 64;
/** Those of namespaces included. */
const MAX_TOOLS = 512;

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
  /** What was not taken, as X-Dropped-Parameters names it. */
  readonly dropped: readonly string[];
}

/** A definition, and where it stands in the body. */
interface ToolDefinition {
  readonly raw: object;
  readonly path: string;
}

/** Those that come with the input too: a later definition takes the place of an earlier one. */
export function toolDefinitionsIn({
  tools = [],
  input,
}: Pick<ResponsesFields, 'tools' | 'input'>): readonly ToolDefinition[] {
  const listed = tools.map((raw, index) => ({ raw, path: `tools[${index}]` }));
  if (typeof input === 'string') return listed;
  const added = input.flatMap((item, index) => {
    if ((item as { readonly type?: unknown }).type !== 'additional_tools') return [];
    const path = `input[${index}]`;
    return [readAdditional(item, path).tools.map((raw, at) => ({ raw, path: `${path}.tools[${at}]` }))];
  });
  return lastOfEach([listed, ...added]);
}

/** Within one list a name that comes twice stays, to be refused. */
function lastOfEach(lists: readonly (readonly ToolDefinition[])[]): readonly ToolDefinition[] {
  const later = new Set<string>();
  const kept = lists.toReversed().map((list) => {
    const news = list.filter(({ raw }) => !later.has(keyOf(raw)));
    for (const { raw } of list) later.add(keyOf(raw));
    return news;
  });
  return kept.toReversed().flat();
}

function keyOf(raw: object): string {
  const { type = 'function', name } = raw as { readonly type?: unknown; readonly name?: unknown };
  return `${type} ${name}`;
}

export function parseTools(given: readonly ToolDefinition[] = []): OfferedTools {
  const list: OfferedTool[] = [];
  const dropped = new Set<string>();
  const names = new Set<string>();
  const known = new Set<string>();
  const offer = (found: ParsedTool, path: string, namespace?: string): ParsedTool['echo'] => {
    const origin: ToolOrigin = {
      kind: found.kind,
      name: found.echo.name,
      ...(namespace !== undefined && { namespace }),
    };
    const key = `${namespace ?? ''} ${origin.name}`;
    if (known.has(key))
      throw invalid(
        `${path}.name`,
        `${path}.name is ${showValue(origin.name)}, as that of another tool. Each needs its own.`,
      );
    if (list.length === MAX_TOOLS)
      throw invalid('tools', `tools has more than ${MAX_TOOLS} tools in all. Offer fewer.`);
    known.add(key);
    const name = nameFor(origin, names);
    names.add(name);
    list.push({ ...origin, tool: { ...found.tool, name } });
    if (found.dropped !== undefined) dropped.add(found.dropped);
    return found.echo;
  };
  const echo = given.flatMap(({ raw, path }): ToolEcho[] => {
    const { type } = raw as { readonly type?: unknown };
    if (isHostedTool(type)) {
      dropped.add(`tools.${type}`);
      return [];
    }
    if (type !== 'namespace') return [offer(parseTool(raw, path), path)];
    const { name, description, tools } = readNamespace(raw, path);
    const inner = tools.map((each, at) => {
      const found = parseTool(each, `${path}.tools[${at}]`);
      // The model has no place for what a namespace says of itself but this.
      return offer(at === 0 ? withPreface(found, description) : found, `${path}.tools[${at}]`, name);
    });
    return [{ type, name, description: description ?? null, tools: inner }];
  });
  return { list, echo, dropped: [...dropped] };
}

/** What the model calls a tool of earlier calls, be it offered now or not. */
export function modelNameOf({ list }: OfferedTools, { name, namespace }: Omit<ToolOrigin, 'kind'>): string {
  const offered = list.find((each) => each.name === name && each.namespace === namespace);
  return offered?.tool.name ?? qualifiedName({ name, namespace });
}

/** What the client calls a tool that the model has called. */
export function originOf({ list }: OfferedTools, modelName: string): ToolOrigin {
  const offered = list.find(({ tool }) => tool.name === modelName);
  return offered ?? { kind: 'function', name: modelName };
}

interface ParsedTool {
  readonly kind: ToolOrigin['kind'];
  readonly tool: Omit<Tool, 'name'>;
  readonly echo: Exclude<ToolEcho, { readonly type: 'namespace' }>;
  readonly dropped?: string;
}

function parseTool(raw: object, path: string): ParsedTool {
  const { type } = raw as { readonly type?: unknown };
  if (type === 'custom') return customTool(readCustom(raw, path));
  if (typeof type === 'string' && type !== 'function') throw unknownTool(type, `${path}.type`);
  const { name, description, parameters, strict } = readFunction(raw, path);
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
  const said = [description, grammar].filter((part) => part !== undefined && part !== '').join('\n\n');
  return {
    kind: 'custom',
    tool: {
      ...(said !== '' && { description: said }),
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

function withPreface(found: ParsedTool, preface: string | undefined): ParsedTool {
  if (preface === undefined || preface === '') return found;
  const { description } = found.tool;
  const said = description === undefined ? preface : `${preface}\n\n${description}`;
  return { ...found, tool: { ...found.tool, description: said } };
}

/** Unique among the names so far, and never longer than servers take. */
function nameFor(origin: Omit<ToolOrigin, 'kind'>, taken: ReadonlySet<string>): string {
  const name = qualifiedName(origin);
  if (!taken.has(name)) return name;
  for (let count = 2; ; count += 1) {
    const suffix = `_${count}`;
    const other = name.slice(0, MAX_NAME_LENGTH - suffix.length) + suffix;
    if (!taken.has(other)) return other;
  }
}

function qualifiedName({
  name,
  namespace,
}: {
  readonly name: string;
  readonly namespace?: string | undefined;
}) {
  if (namespace === undefined) return name;
  const between = namespace.endsWith('__') ? '' : '__';
  return `${namespace}${between}${name}`.slice(0, MAX_NAME_LENGTH);
}

/** tool_choice and parallel_tool_calls, with the tools that are offered, become the core's ToolUse. */

const readNamed = nullableBodyReader(NamedChoice);
const readAllowed = nullableBodyReader(AllowedTools);

/** Checked, and nothing else than what is known of it: answers repeat it. The tools that it names exist. */
export function parseToolChoice(given: ResponsesFields['tool_choice'], tools: OfferedTools): ToolChoiceBody {
  if (given === undefined) return 'auto';
  if (typeof given === 'string') return given;
  const { type } = given as { readonly type?: unknown };
  refuseHosted(given, 'tool_choice');
  switch (type) {
    case 'function':
    case 'custom': {
      const choice = readNamed(given, 'tool_choice');
      requireTool(choice, 'tool_choice', tools);
      return choiceBody(choice);
    }
    case 'allowed_tools': {
      for (const [index, each] of listIn(given).entries()) refuseHosted(each, `tool_choice.tools[${index}]`);
      const { mode, tools: allowed } = readAllowed(given, 'tool_choice');
      for (const [index, each] of allowed.entries()) requireTool(each, `tool_choice.tools[${index}]`, tools);
      return { type, mode, tools: allowed.map(choiceBody) };
    }
    default:
      throw invalid(
        'tool_choice.type',
        `tool_choice.type is ${showValue(type)}, but must be "function", "custom" or "allowed_tools".`,
      );
  }
}

/** Undefined where there are no tools; those that may not be called are told to the model all the same. */
export function toolUseOf(
  tools: OfferedTools,
  given: ToolChoiceBody,
  { parallel_tool_calls }: ResponsesFields,
): ToolUse | undefined {
  const { choice, allowed } = choiceOf(given, tools);
  if (tools.list.length === 0) {
    if (choice !== 'required') return undefined;
    const dropped = tools.dropped.length === 0 ? '' : ` (${tools.dropped.join(', ')} cannot run here)`;
    throw invalid(
      'tool_choice',
      `tool_choice is "required", but there are no tools${dropped}. Give tools too.`,
    );
  }
  return {
    tools: tools.list.filter((each) => allowed?.has(each) ?? true).map(({ tool }) => tool),
    choice,
    ...(parallel_tool_calls === false && choice !== 'none' && { single: true }),
  };
}

/** `allowed` absent: all tools. */
function choiceOf(
  given: ToolChoiceBody,
  tools: OfferedTools,
): { readonly choice: ToolChoice; readonly allowed?: ReadonlySet<OfferedTool> } {
  if (typeof given === 'string') return { choice: given };
  if (given.type !== 'allowed_tools') {
    return { choice: { name: find(given, tools)?.tool.name ?? given.name } };
  }
  const allowed = given.tools.flatMap((each) => find(each, tools) ?? []);
  return { choice: given.mode, allowed: new Set(allowed) };
}

function choiceBody({ type, name, namespace }: NamedChoice): NamedChoice {
  return { type, name, ...(namespace !== undefined && { namespace }) };
}

/** The first of that name, where no namespace is said. */
function find({ type, name, namespace }: NamedChoice, { list }: OfferedTools): OfferedTool | undefined {
  return list.find(
    (each) =>
      each.kind === type && each.name === name && (namespace === undefined || each.namespace === namespace),
  );
}

function refuseHosted(given: object, path: string): void {
  const { type } = given as { readonly type?: unknown };
  if (!isHostedTool(type)) return;
  throw invalid(
    `${path}.type`,
    `${path}.type is ${showValue(type)}, but that tool cannot run here and was dropped. Choose a function or a custom tool.`,
  );
}

function listIn(given: object): readonly object[] {
  const { tools } = given as { readonly tools?: unknown };
  if (!Array.isArray(tools)) return [];
  return tools.filter((each): each is object => typeof each === 'object' && each !== null);
}

function requireTool(choice: NamedChoice, path: string, tools: OfferedTools): void {
  if (find(choice, tools) !== undefined) return;
  const known =
    tools.list.length === 0
      ? 'there are no tools'
      : `the tools are ${tools.list.map(({ name }) => name).join(', ')}`;
  throw invalid(`${path}.name`, `${path}.name is ${showValue(choice.name)}, but ${known}.`);
}
