/** What the played servers read out of a request: its prompt, the calls it asks for, the form of the text. */
import { instanceOf, piecesOf } from './schema-instance.ts';
import type { Reply } from './stand-in-server.ts';

type Body = Readonly<Record<string, unknown>>;

export interface PlayedCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

interface PlayedTool {
  readonly function: { readonly name: string; readonly parameters?: unknown; readonly strict?: boolean };
}

interface WireMessage {
  readonly content: string | readonly { readonly text?: string }[] | null;
  readonly tool_calls?: unknown;
}

/** All that is said, in any form; tools are written into it as templates do. */
export function promptOf(body: Body): string {
  if (typeof body.prompt === 'string') return body.prompt;
  const texts = (body.messages as readonly WireMessage[]).map(({ content, tool_calls }) => {
    const text =
      typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join(' ');
    return tool_calls === undefined ? text : `${text} ${JSON.stringify(tool_calls)}`;
  });
  return [...texts, ...(body.tools === undefined ? [] : [JSON.stringify(body.tools)])].join(' ');
}

export function biasOf(body: Body): Readonly<Record<string, number>> {
  return (body.logit_bias ?? {}) as Record<string, number>;
}

/** The first tool, or the named one, where a call is required; where it is not, when the user says "call". */
export function callsOf(body: Body, prompt: string, server: string): readonly PlayedCall[] {
  const tools = (body.tools ?? []) as readonly PlayedTool[];
  const choice = body.tool_choice as string | { readonly function: { readonly name: string } } | undefined;
  const last = (body.messages as readonly { readonly role: string }[] | undefined)?.at(-1);
  if (tools.length === 0 || choice === 'none') return [];
  if (choice === 'auto' && (last?.role !== 'user' || !/\bcall\b/i.test(prompt))) return [];
  const named =
    typeof choice === 'object' ? tools.filter((tool) => tool.function.name === choice.function.name) : tools;
  const several = /\beach\b/.test(prompt) && body.parallel_tool_calls !== false;
  return named.slice(0, several ? undefined : 1).map((tool, index) => ({
    id: `chatcmpl-tool-81c5620b8bfd01e${index}`,
    name: tool.function.name,
    arguments: JSON.stringify(
      // As recorded from vLLM 0.32: a forced call follows its schema only where the tool is strict.
      server === 'vllm' && choice !== 'auto' && tool.function.strict !== true
        ? 'gabenwelter'
        : instanceOf(tool.function.parameters),
    ),
  }));
}

/** The text in pieces, where a form is asked for. */
export function formedAnswer(body: Body): readonly string[] | undefined {
  const format = body.response_format as Body | undefined;
  const schema =
    (format?.json_schema as Body | undefined)?.schema ??
    body.json_schema ??
    (format?.type === 'json_object' ? { type: 'object' } : undefined);
  if (schema !== undefined) return piecesOf(JSON.stringify(instanceOf(schema)));
  const { choice, regex } = (body.structured_outputs ?? {}) as { choice?: string[]; regex?: string };
  if (choice !== undefined) return piecesOf(choice[0] ?? '');
  // The only expression that it knows.
  if (regex !== undefined) return piecesOf('no, ab');
  const grammar = grammarOf(body);
  return grammar === undefined ? undefined : piecesOf(/"([^"]*)"/.exec(grammar)?.[1] ?? '');
}

/** A grammar without a text in it counts as broken. */
export function grammarError(body: Body): Reply | undefined {
  const grammar = grammarOf(body);
  if (grammar === undefined || /"[^"]*"/.test(grammar)) return undefined;
  const message =
    body.grammar === undefined
      ? 'Failed to convert the grammar from GBNF to Lark: unexpected end of input'
      : 'Failed to parse grammar';
  return {
    status: 400,
    body: JSON.stringify({ error: { message, type: 'BadRequestError', param: null, code: 400 } }),
  };
}

function grammarOf(body: Body): string | undefined {
  return (body.grammar ?? (body.structured_outputs as Body | undefined)?.grammar) as string | undefined;
}
