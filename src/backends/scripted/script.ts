/**
 * What a scripted target does with one request. The target's keys are the default. A request whose prompt (or last message) begins
 * with a line `{"script":{…}}` overrides any of them for itself, with the rest of the text as its prompt: one server can play many
 * cases at once.
 */
import { type Static, Type } from 'typebox';
import { Check, Errors } from 'typebox/value';
import { ServingError } from '../../core/errors.ts';
import { outputField } from '../../core/features.ts';
import type { GenerationEvent, GenerationInput, OutputFormat, ToolUse } from '../../core/generation.ts';

const text = Type.String({
  minLength: 1,
  description: 'The answer. Default: the words of the prompt, repeated.',
});
const reasoning = Type.String({
  minLength: 1,
  description: 'Reasoning before the answer, unless the request turns thinking off.',
});
const toolCalls = Type.Array(
  Type.Object({ name: Type.String({ minLength: 1 }), arguments: Type.Object({}) }),
  {
    description:
      'Calls `{ name, arguments }` after the text, if the request allows tool calls. Without `text` there is then none.',
  },
);

/** The keys of the configuration that a request may override. */
export const scriptKeys = {
  text: Type.Optional(text),
  tokens: Type.Integer({
    minimum: 0,
    default: 16,
    description: 'Words of the answer when `text` is not set.',
  }),
  reasoning: Type.Optional(reasoning),
  tool_calls: Type.Optional(toolCalls),
  turns: Type.Optional(
    Type.Array(
      Type.Object(
        {
          text: Type.Optional(text),
          tokens: Type.Optional(Type.Integer({ minimum: 0 })),
          reasoning: Type.Optional(reasoning),
          tool_calls: Type.Optional(toolCalls),
        },
        { additionalProperties: false },
      ),
      {
        description:
          'A script for each turn of a conversation, of `text`, `tokens`, `reasoning` and `tool_calls`: the first answers one without an assistant’s message, the second one with one, and so on. After the last, the other keys apply.',
      },
    ),
  ),
  first_token_delay_ms: Type.Integer({ minimum: 0, default: 0, description: 'Until the first token.' }),
  token_delay_ms: Type.Integer({ minimum: 0, default: 0, description: 'Between two tokens.' }),
  prefill_token_delay_ms: Type.Integer({
    minimum: 0,
    default: 0,
    description: 'More delay before the first token for each token of the prompt.',
  }),
  fail: Type.Union(
    [
      Type.Literal('none'),
      Type.Literal('refuse'),
      Type.Literal('error'),
      Type.Literal('mid-stream'),
      Type.Literal('hang'),
      Type.Literal('hang-mid-stream'),
      Type.Literal('rate-limited'),
      Type.Literal('content-filter'),
    ],
    {
      default: 'none',
      description:
        'refuse: not available; error: fails before the first token; hang: never a first token; mid-stream and hang-mid-stream: after `fail_after_tokens`; rate-limited: as a 429 with Retry-After: 7; content-filter: refuses the request.',
    },
  ),
  fail_after_tokens: Type.Integer({
    minimum: 0,
    default: 2,
    description: 'Tokens before a failure mid-stream.',
  }),
};

const ScriptSchema = Type.Object(scriptKeys);
const DirectiveSchema = Type.Object(
  { script: Type.Partial(ScriptSchema, { additionalProperties: false }) },
  { additionalProperties: false },
);

export type Script = Static<typeof ScriptSchema> & {
  /** The turn that it plays; absent if it has none. */
  readonly turn?: number;
};

export interface ScriptedRequest {
  readonly script: Script;
  /** The request's prompt, without its directive. */
  readonly prompt: string;
}

/** Reads the directive of a request, if it has one. Throws `invalid_request` if it is not valid. */
export function readScript(input: GenerationInput, defaults: Script): ScriptedRequest {
  const text = textOf(input);
  if (!text.startsWith('{"script"')) return { script: ofTurn(defaults, input), prompt: text };
  const lineEnd = text.indexOf('\n');
  const line = lineEnd === -1 ? text : text.slice(0, lineEnd);
  const directive = parseDirective(line);
  if (!Check(DirectiveSchema, directive)) {
    const [error] = Errors(DirectiveSchema, directive);
    throw invalidDirective(
      error === undefined ? 'it does not match' : `${error.instancePath} ${error.message}`,
    );
  }
  return {
    script: ofTurn({ ...defaults, ...directive.script }, input),
    prompt: lineEnd === -1 ? 'scripted' : text.slice(lineEnd + 1),
  };
}

/** A conversation has had as many turns as it has messages of the assistant. */
function ofTurn(script: Script, input: GenerationInput): Script {
  if (script.turns === undefined || input.kind !== 'chat') return script;
  const turn = input.messages.filter(({ role }) => role === 'assistant').length;
  return { ...script, ...script.turns[turn], turn };
}

/** Token ids were rejected before: words have none. */
function textOf(input: GenerationInput): string {
  if (input.kind === 'chat') return input.messages.at(-1)?.content ?? '';
  return input.kind === 'text' ? input.prompt : '';
}

function parseDirective(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw invalidDirective('its line is not valid JSON');
  }
}

function invalidDirective(what: string): ServingError {
  return new ServingError('invalid_request', {
    message: `The prompt begins with a script, but ${what}. Allowed keys: ${Object.keys(scriptKeys).join(', ')}.`,
    param: 'prompt',
  });
}

export type ScriptedCall = NonNullable<Script['tool_calls']>[number];

const NONE: readonly ScriptedCall[] = [];
const CHARACTERS_PER_TOKEN = 4;

/** The script's calls, if the request allows them. Throws `invalid_request` if it requires one that is not in the script. */
export function callsFor(script: Script, tools: ToolUse | undefined): readonly ScriptedCall[] {
  if (tools === undefined || tools.choice === 'none') return NONE;
  const { choice } = tools;
  const scripted = script.tool_calls ?? NONE;
  const calls = typeof choice === 'object' ? scripted.filter(({ name }) => name === choice.name) : scripted;
  if (calls.length > 0 || choice === 'auto') return calls;
  throw new ServingError('invalid_request', {
    message:
      'tool_choice requires a call that is not in the script of the scripted backend. Add it to tool_calls there.',
    param: 'tool_choice',
  });
}

/** Each event is one token: the start of a call, then pieces of its arguments. Ids differ from turn to turn. */
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

/** A format is accepted only if the script's text already has it. */
export function rejectOtherFormat(text: string | undefined, output: OutputFormat | undefined): void {
  if (output === undefined || (text !== undefined && hasFormat(text, output))) return;
  const param = outputField(output);
  throw new ServingError('invalid_request', {
    message: `${param} does not match the text of the scripted backend. Change its script.`,
    param,
  });
}

function hasFormat(text: string, output: OutputFormat): boolean {
  if (output.kind === 'choice') return output.choices.includes(text);
  try {
    if (output.kind === 'regex') return new RegExp(`^(?:${output.regex})$`, 'u').test(text);
    const value: unknown = JSON.parse(text);
    if (output.kind === 'json-schema') return Check(output.schema as object, value);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
