/** What an Ollama stand-in reads of a request, and says beside text: calls of tools, and log-probabilities. Deterministic. */

import { instanceOf, piecesOf } from './schema-instance.ts';

type Loose = Record<string, unknown>;

interface OfferedTool {
  readonly function: { readonly name: string; readonly parameters?: { readonly properties?: Loose } };
}

const MIN_CUE = 4;
const SAID = -0.5;

/**
 * A call of each offered tool that the last message, a user's, has a word of: `get_weather` for "the weather". An argument is the
 * first value that its schema allows, else "Paris".
 */
export function toolCalls(body: Loose, { withIds }: { readonly withIds: boolean }): Loose[] {
  const last = (body.messages as Loose[] | undefined)?.at(-1);
  if (last?.role !== 'user') return [];
  const words = String(last.content).toLowerCase();
  const isAsked = (name: string) =>
    name.split('_').some((word) => word.length >= MIN_CUE && words.includes(word));
  return ((body.tools ?? []) as OfferedTool[])
    .filter((tool) => isAsked(tool.function.name))
    .map((tool, index) => {
      const { name, parameters } = tool.function;
      const values = Object.entries(parameters?.properties ?? {}).map(([key, schema]) => [
        key,
        (schema as { enum?: unknown[] }).enum?.[0] ?? 'Paris',
      ]);
      const called = { name, arguments: Object.fromEntries(values) as Loose };
      return withIds ? { id: `call_standin${index}`, function: { index, ...called } } : { function: called };
    });
}

/** The text in pieces, where a form is asked for. */
export function formedAnswer({ format }: Loose): readonly string[] | undefined {
  if (format === undefined || format === '') return undefined;
  return piecesOf(JSON.stringify(instanceOf(format === 'json' ? { type: 'object' } : format)));
}

/** Of one token, and of the likeliest at its place: itself first. */
export function logprobsOf(text: string, top: number): Loose[] {
  const likely = (token: string, logprob: number) => ({
    token,
    logprob,
    bytes: [...Buffer.from(token)],
  });
  const others = Array.from({ length: top }, (_, place) =>
    likely(place === 0 ? text : ` other${place}`, SAID - place),
  );
  return [{ ...likely(text, SAID), ...(top > 0 && { top_logprobs: others }) }];
}

/** What the server says of an earlier call whose arguments are no object. */
export function misreadArguments(body: Loose): string | undefined {
  const calls = ((body.messages ?? []) as Loose[]).flatMap(({ tool_calls }) => (tool_calls ?? []) as Loose[]);
  const isText = (call: Loose) => typeof (call.function as Loose).arguments === 'string';
  return calls.some(isText)
    ? 'json: cannot unmarshal string into Go struct field ChatRequest.messages.tool_calls.function.arguments of type api.ToolCallFunctionArguments'
    : undefined;
}

/** A model that does not see is given the text alone, and nobody is told. */
export function promptOf(body: Record<string, unknown>, { sees }: { readonly sees: boolean }): string {
  if (typeof body.prompt === 'string') return body.prompt;
  let images = 0;
  return (body.messages as { content: string; images?: string[] }[])
    .flatMap(({ content, images: shown = [] }) => [
      ...(sees ? shown.map(() => `[img-${images++}]`) : []),
      content,
    ])
    .join(' ');
}
