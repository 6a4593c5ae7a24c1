/**
 * The grammar that an answer has to follow: that of its format, of the calls it has to make, or of either where it may
 * call tools and its text has a format. Owns recent ones.
 */
import type { ToolUse } from '../../../core/generation.ts';
import { type CallForm, toolCallGrammar } from '../grammar/tool-call-grammar.ts';
import { unionGrammar } from '../grammar/union-grammar.ts';
import { RecentResults } from '../recent-results.ts';
import type { ToolFormat } from './tools/tool-format.ts';

const GRAMMARS_KEPT = 32;

export interface AnswerGrammarOptions {
  readonly tools: ToolUse | undefined;
  /** In which the model calls tools; absent: it has none to call. */
  readonly toolFormat: ToolFormat | undefined;
  /** GBNF of the text, if it has a format. */
  readonly text: string | undefined;
}

export class AnswerGrammars {
  readonly #ofCalls = new RecentResults(GRAMMARS_KEPT, compileCalls);
  readonly #ofEither = new RecentResults(GRAMMARS_KEPT, (key) => {
    const { calls, text } = JSON.parse(key) as Either;
    return unionGrammar(text, this.#ofCalls.of(calls), { param: 'format' });
  });

  /** Undefined where the answer is free. Throws `invalid_request` for a tool whose parameters cannot be used. */
  of({ tools, toolFormat, text }: AnswerGrammarOptions): string | undefined {
    if (tools === undefined || toolFormat === undefined || tools.choice === 'none') return text;
    const { choice, single = false } = tools;
    const isForced = choice !== 'auto';
    if (!isForced && text === undefined) return undefined;
    const named = typeof choice === 'object' ? choice.name : undefined;
    const calls: Calls = {
      tools: tools.tools,
      named,
      single: single || named !== undefined,
      form: toolFormat.written,
    };
    const key = JSON.stringify(calls);
    if (isForced || text === undefined) return this.#ofCalls.of(key);
    const either: Either = { calls: key, text };
    return this.#ofEither.of(JSON.stringify(either));
  }
}

interface Calls {
  readonly tools: ToolUse['tools'];
  readonly named: string | undefined;
  readonly single: boolean;
  readonly form: CallForm;
}

interface Either {
  /** The key of the calls. */
  readonly calls: string;
  readonly text: string;
}

function compileCalls(key: string): string {
  const { tools, named, single, form } = JSON.parse(key) as Calls;
  const all = tools.map((tool, index) => ({ tool, param: `tools[${index}].parameters` }));
  const allowed = named === undefined ? all : all.filter(({ tool }) => tool.name === named);
  return toolCallGrammar({ tools: allowed, form, single });
}
