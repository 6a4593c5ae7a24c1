/** A conversation as the body of POST /v1/chat/completions. Pure. */
import type { Message } from './conversation.ts';
import {
  PARAMETERS,
  type ParameterValue,
  readParameter,
  readSchema,
  readTools,
  type Settings,
  type ToolDefinition,
} from './settings.ts';

export interface TextPart {
  readonly type: 'text';
  readonly text: string;
}

export interface ImagePart {
  readonly type: 'image_url';
  readonly image_url: { readonly url: string };
}

export type ChatMessage =
  | { readonly role: 'system'; readonly content: string }
  | { readonly role: 'user'; readonly content: string | readonly (TextPart | ImagePart)[] }
  | { readonly role: 'assistant'; readonly content: string; readonly tool_calls?: readonly ChatToolCall[] }
  | { readonly role: 'tool'; readonly content: string; readonly tool_call_id: string };

export interface ChatToolCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
}

export type ChatBody = {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly ToolDefinition[];
  readonly response_format?: {
    readonly type: 'json_schema';
    readonly json_schema: { readonly name: string; readonly schema: Readonly<Record<string, unknown>> };
  };
} & Readonly<Partial<Record<(typeof PARAMETERS)[number]['name'], ParameterValue>>>;

/** Settings that are not valid are left out: `problemsOf` has told them. */
export function chatBody(path: readonly Message[], settings: Settings, model: string): ChatBody {
  const parameters = PARAMETERS.flatMap((parameter) => {
    const { value } = readParameter(parameter, settings.parameters[parameter.name]);
    return value === undefined ? [] : [[parameter.name, value] as const];
  });
  const tools = readTools(settings.tools).value;
  const schema = readSchema(settings.schema).value;
  return {
    model,
    messages: [
      ...(settings.system.trim() === '' ? [] : [{ role: 'system', content: settings.system } as const]),
      ...path.flatMap(messageOf),
    ],
    ...Object.fromEntries(parameters),
    ...(tools && { tools }),
    ...(schema && {
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema } } as const,
    }),
  };
}

/** An answer that failed before its first word is none. */
function messageOf({
  role,
  text,
  images = [],
  toolCalls = [],
  toolCallId = '',
}: Message): readonly ChatMessage[] {
  if (role === 'tool') return [{ role, content: text, tool_call_id: toolCallId }];
  if (role === 'user') {
    if (images.length === 0) return [{ role, content: text }];
    const parts = images.map((url) => ({ type: 'image_url', image_url: { url } }) as const);
    return [{ role, content: [...(text === '' ? [] : [{ type: 'text', text } as const]), ...parts] }];
  }
  if (text === '' && toolCalls.length === 0) return [];
  const calls = toolCalls.map(({ id, name, arguments: given }) => ({
    id,
    type: 'function' as const,
    function: { name, arguments: given },
  }));
  return [{ role, content: text, ...(calls.length > 0 && { tool_calls: calls }) }];
}
