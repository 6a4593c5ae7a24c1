/** The calls of a scripted answer: those of its script, where the request lets tools be called. Pure. */
import { ServingError } from '../../core/errors.ts';
import type { GenerationEvent, ToolUse } from '../../core/generation.ts';
import type { Script } from './script.ts';

export type ScriptedCall = NonNullable<Script['tool_calls']>[number];

const NONE: readonly ScriptedCall[] = [];
const CHARACTERS_PER_TOKEN = 4;

/** Throws `invalid_request` when the request insists on a call that is not in the script. */
export function callsFor(script: Script, tools: ToolUse | undefined): readonly ScriptedCall[] {
  if (tools === undefined || tools.choice === 'none') return NONE;
  const { choice } = tools;
  const scripted = script.tool_calls ?? NONE;
  const calls = typeof choice === 'object' ? scripted.filter(({ name }) => name === choice.name) : scripted;
  if (calls.length > 0 || choice === 'auto') return calls;
  throw new ServingError('invalid_request', {
    message:
      'tool_choice asks for a call that is not in the script of the scripted backend. Add it to tool_calls there.',
    param: 'tool_choice',
  });
}

/** Each event stands for one token: the head of a call, then a piece of its arguments. Ids differ from turn to turn. */
export function* callEvents(
  calls: readonly ScriptedCall[],
  turn: number | undefined,
): Generator<GenerationEvent> {
  const prefix = turn === undefined ? 'call' : `call_${turn}`;
  for (const [index, { name, arguments: values }] of calls.entries()) {
    yield { type: 'tool-call', index, id: `${prefix}_${index}`, name };
    const characters = [...JSON.stringify(values)];
    for (let start = 0; start < characters.length; start += CHARACTERS_PER_TOKEN) {
      const delta = characters.slice(start, start + CHARACTERS_PER_TOKEN).join('');
      yield { type: 'tool-arguments', index, delta };
    }
  }
}
