/**
 * What a scripted target does with one request. The target's keys are the default; a request whose prompt (or
 * last message) begins with a line `{"script":{…}}` overrides any of them for itself, with the rest of the
 * text as its prompt: so one server plays many cases at once.
 */
import { type Static, Type } from 'typebox';
import { Check, Errors } from 'typebox/value';
import { ServingError } from '../../core/errors.ts';
import type { GenerationInput } from '../../core/generation.ts';

const text = Type.String({
  minLength: 1,
  description: 'The answer. Default: the words of the prompt, again and again.',
});
const reasoning = Type.String({
  minLength: 1,
  description: 'Thought before the answer when the request wishes it.',
});
const toolCalls = Type.Array(
  Type.Object({ name: Type.String({ minLength: 1 }), arguments: Type.Object({}) }),
  {
    description:
      'Calls `{ name, arguments }` after the text (only then is there one without `text`), where the request lets tools be called.',
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
    ],
    {
      default: 'none',
      description:
        'refuse: not available; error: fails before the first token; hang: never a first token; mid-stream and hang-mid-stream: after `fail_after_tokens`.',
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
  /** Which of its turns it is at; absent where it has none. */
  readonly turn?: number;
};

export interface Part {
  readonly script: Script;
  /** What the request says, without its directive. */
  readonly prompt: string;
}

/** Finds the directive of a request, if it has one. Throws `invalid_request` when it is not a valid one. */
export function partFor(input: GenerationInput, defaults: Script): Part {
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

/** A conversation has as many turns behind it as it has messages of the assistant. */
function ofTurn(script: Script, input: GenerationInput): Script {
  if (script.turns === undefined || input.kind !== 'chat') return script;
  const spoken = input.messages.filter(({ role }) => role === 'assistant').length;
  return { ...script, ...script.turns[spoken], turn: spoken };
}

/** Token ids are refused before: its words have none. */
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
