/**
 * The grammar that an answer has to follow: that of its format, of the calls it has to make, or of either where it may
 * call tools and its text has a format.
 */
import type { GenerationRequest, OutputFormat, ToolUse } from '../../../core/generation.ts';
import { checkGrammar } from './check-grammar.ts';
import { choiceGrammar } from './choice-grammar.ts';
import { jsonGrammar } from './json-grammar.ts';
import { regexGrammar } from './regex-grammar.ts';
import { schemaGrammar } from './schema-grammar.ts';
import { type CallForm, toolCallGrammar } from './tool-call-grammar.ts';
import { unionGrammar } from './union-grammar.ts';

/** What binds one answer. Plain JSON; at least one of the two is there. */
export interface AnswerConstraint {
  readonly output?: OutputFormat;
  readonly calls?: CallConstraint;
}

export interface CallConstraint {
  readonly tools: ToolUse['tools'];
  /** The only one that may be called; absent: any. */
  readonly named?: string;
  /** Exactly one call, whatever the form allows. */
  readonly single: boolean;
  readonly form: CallForm;
}

/**
 * What binds the answer to a request; undefined where it is free. `form`: how the model writes calls, absent where it
 * cannot.
 */
export function constraintOf(
  request: GenerationRequest,
  form: CallForm | undefined,
): AnswerConstraint | undefined {
  const { output, tools } = request;
  if (tools === undefined || form === undefined || !bindsCalls(request)) return output && { output };
  const { choice, single = false } = tools;
  const named = typeof choice === 'object' ? choice.name : undefined;
  const calls: CallConstraint = {
    tools: tools.tools,
    ...(named !== undefined && { named }),
    single: single || named !== undefined,
    form,
  };
  return choice === 'auto' && output !== undefined ? { output, calls } : { calls };
}

/** The answer has to make calls, or may make them instead of a text in a format. */
export function bindsCalls({ input, output, tools }: GenerationRequest): boolean {
  if (tools === undefined || tools.choice === 'none' || input.kind !== 'chat') return false;
  return tools.choice !== 'auto' || output !== undefined;
}

/** GBNF. Throws `invalid_request` for what cannot be used, naming the place. */
export function answerGrammar({ output, calls }: AnswerConstraint): string {
  if (calls === undefined) return output === undefined ? '' : textGrammar(output);
  const callGrammar = callsGrammar(calls);
  return output === undefined
    ? callGrammar
    : unionGrammar(textGrammar(output), callGrammar, { param: 'format' });
}

function textGrammar(output: OutputFormat): string {
  switch (output.kind) {
    case 'json':
      return jsonGrammar();
    case 'json-schema':
      return schemaGrammar(output.schema, { param: 'format' });
    case 'grammar':
      return checkGrammar(output.grammar);
    case 'regex':
      return regexGrammar(output.regex);
    case 'choice':
      return choiceGrammar(output.choices);
    default:
      return output satisfies never;
  }
}

function callsGrammar({ tools, named, single, form }: CallConstraint): string {
  const all = tools.map((tool, index) => ({ tool, param: `tools[${index}].parameters` }));
  const allowed = named === undefined ? all : all.filter(({ tool }) => tool.name === named);
  return toolCallGrammar({ tools: allowed, form, single });
}
