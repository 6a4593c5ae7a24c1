/**
 * The tools of a response as models take them: all are functions with names of their own. Those of a namespace carry its name in
 * front of theirs, and a custom tool, whose call is a text, takes that text as its one argument. Remembers where each name came
 * from, so that calls are told as the client knows them.
 */
import type { Tool } from '../../../core/generation.ts';
import { showValue } from '../../../schema/violation.ts';
import { invalid } from '../../invalid.ts';
import { lenientReader } from '../../lenient-body.ts';
import { checkArguments } from '../../tool-rules.ts';
import { isHostedTool } from './hosted-tools.ts';
import { AdditionalToolsItem } from './item-schema.ts';
import { unknownTool } from './refusals.ts';
import type { ResponsesFields } from './request-schema.ts';
import { CustomTool, FunctionTool, NamespaceHead, type ToolEcho } from './tool-schema.ts';

const readFunction = lenientReader(FunctionTool);
const readCustom = lenientReader(CustomTool);
const readNamespace = lenientReader(NamespaceHead);
const readAdditional = lenientReader(AdditionalToolsItem);

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

export interface OfferedTool extends ToolOrigin {
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
export interface PlacedTool {
  readonly raw: object;
  readonly path: string;
}

/** Those that come with the input too: a later definition takes the place of an earlier one. */
export function definitionsIn({
  tools = [],
  input,
}: Pick<ResponsesFields, 'tools' | 'input'>): readonly PlacedTool[] {
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
function lastOfEach(lists: readonly (readonly PlacedTool[])[]): readonly PlacedTool[] {
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

export function parseTools(given: readonly PlacedTool[] = []): OfferedTools {
  const list: OfferedTool[] = [];
  const dropped = new Set<string>();
  const names = new Set<string>();
  const known = new Set<string>();
  const offer = (found: FoundTool, path: string, namespace?: string): FoundTool['echo'] => {
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
  return offered?.tool.name ?? joined({ name, namespace });
}

/** What the client calls a tool that the model has called. */
export function originOf({ list }: OfferedTools, modelName: string): ToolOrigin {
  const offered = list.find(({ tool }) => tool.name === modelName);
  return offered ?? { kind: 'function', name: modelName };
}

interface FoundTool {
  readonly kind: ToolOrigin['kind'];
  readonly tool: Omit<Tool, 'name'>;
  readonly echo: Exclude<ToolEcho, { readonly type: 'namespace' }>;
  readonly dropped?: string;
}

function parseTool(raw: object, path: string): FoundTool {
  const { type } = raw as { readonly type?: unknown };
  if (type === 'custom') return customTool(readCustom(raw, path));
  if (typeof type === 'string' && type !== 'function') throw unknownTool(type, `${path}.type`);
  const { name, description, parameters, strict } = readFunction(raw, path);
  if (parameters !== undefined) checkArguments(parameters, `${path}.parameters`);
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
function customTool({ name, description, format = { type: 'text' } }: CustomTool): FoundTool {
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

function withPreface(found: FoundTool, preface: string | undefined): FoundTool {
  if (preface === undefined || preface === '') return found;
  const { description } = found.tool;
  const said = description === undefined ? preface : `${preface}\n\n${description}`;
  return { ...found, tool: { ...found.tool, description: said } };
}

/** Unique among the names so far, and never longer than servers take. */
function nameFor(origin: Omit<ToolOrigin, 'kind'>, taken: ReadonlySet<string>): string {
  const name = joined(origin);
  if (!taken.has(name)) return name;
  for (let count = 2; ; count += 1) {
    const suffix = `_${count}`;
    const other = name.slice(0, MAX_NAME_LENGTH - suffix.length) + suffix;
    if (!taken.has(other)) return other;
  }
}

function joined({ name, namespace }: { readonly name: string; readonly namespace?: string | undefined }) {
  if (namespace === undefined) return name;
  const between = namespace.endsWith('__') ? '' : '__';
  return `${namespace}${between}${name}`.slice(0, MAX_NAME_LENGTH);
}
