/** What a played model does turn by turn, by how many of its messages the conversation has. */
import type { PlayedCall } from './openai-forms.ts';

export interface PlayedTurn {
  readonly tool_calls?: readonly { readonly name: string; readonly arguments: object }[];
}

interface Body {
  readonly messages?: unknown;
}

interface WireMessage {
  readonly role: string;
  readonly content: string | readonly { readonly text?: string }[] | null;
}

/** Undefined where nothing is said of it. Ids of calls differ from turn to turn: clients rely on it. */
export function turnOf(body: Body, turns: readonly PlayedTurn[] = []): PlayedTurn | undefined {
  return turns[spokenIn(body)];
}

export function callsOfTurn(body: Body, { tool_calls = [] }: PlayedTurn): readonly PlayedCall[] {
  return tool_calls.map(({ name, arguments: values }, index) => ({
    id: `chatcmpl-tool-81c5620b8bfd${spokenIn(body)}${index}`,
    name,
    arguments: JSON.stringify(values),
  }));
}

export function lastWords(body: Body): readonly string[] {
  const { content } = messagesOf(body).at(-1) ?? { content: null };
  const text =
    typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join(' ');
  return text.match(/\s*\S+/gu) ?? [];
}

function spokenIn(body: Body): number {
  return messagesOf(body).filter(({ role }) => role === 'assistant').length;
}

function messagesOf({ messages }: Body): readonly WireMessage[] {
  return (messages ?? []) as readonly WireMessage[];
}
