/**
 * For models whose template knows of no tools, or asks for a form that is not read here: tools, calls and results
 * as plain messages, in the form most models have seen. Pure.
 */
import type { Message, Tool } from '../../../../core/generation.ts';
import type { CallForm } from '../../grammar/tool-call-grammar.ts';
import { hermes, writeCalls } from './tool-format.ts';

/** A tool as templates know it: the shape of OpenAI's API. */
export function toolDefinition({ name, description = '', parameters }: Tool): object {
  const noArguments = { type: 'object', properties: {} };
  return { type: 'function', function: { name, description, parameters: parameters ?? noArguments } };
}

/** The same conversation with system, user and assistant alone, and without calls. */
export function spellOutTools(messages: readonly Message[], tools: readonly Tool[]): readonly Message[] {
  const spelled: Message[] = [];
  for (const [index, message] of spellOutCalls(messages, hermes.written).entries()) {
    if (message.role !== 'tool') {
      spelled.push(message);
      continue;
    }
    const response = `<tool_response>\n${message.content}\n</tool_response>`;
    const before = messages[index - 1]?.role === 'tool' ? spelled.pop() : undefined;
    spelled.push({ role: 'user', content: before ? `${before.content}\n${response}` : response });
  }
  if (tools.length === 0) return spelled;
  const own = spelled[0]?.role === 'system' ? spelled.shift() : undefined;
  const content = own === undefined ? instructions(tools) : `${own.content}\n\n${instructions(tools)}`;
  return [{ role: 'system', content }, ...spelled];
}

/** The calls of earlier answers, as text of the model. */
export function spellOutCalls(messages: readonly Message[], form: CallForm): readonly Message[] {
  return messages.map((message) => {
    if (message.role !== 'assistant' || message.toolCalls === undefined) return message;
    const { toolCalls, ...said } = message;
    const { content } = said;
    const calls = writeCalls(toolCalls, form);
    return { ...said, content: content === '' || calls === '' ? content + calls : `${content}\n${calls}` };
  });
}

function instructions(tools: readonly Tool[]): string {
  const { callBegins, nameEnds, callEnds } = hermes.written;
  return [
    'You can call tools. Each is described here by a line of JSON:',
    '<tools>',
    ...tools.map((tool) => spacedJson(toolDefinition(tool))),
    '</tools>',
    '',
    'To call one, answer with its name and the JSON object of its arguments, like this, once for each call:',
    `${callBegins}name of the tool${nameEnds}{"name of an argument": its value}${callEnds}`,
    '',
    'What a tool answers comes back within <tool_response></tool_response>. When no tool is needed, answer in words.',
  ].join('\n');
}

/** JSON with a blank after each comma and colon, as models have mostly seen it. */
function spacedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spacedJson).join(', ')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}: ${spacedJson(member)}`).join(', ')}}`;
}
