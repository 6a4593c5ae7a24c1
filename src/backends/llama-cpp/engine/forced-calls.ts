/** Whether an answer has to call a tool, and the grammar that leaves it nothing else to say. Owns recent grammars. */
import type { ToolUse } from '../../../core/generation.ts';
import { type CallForm, toolCallGrammar } from '../grammar/tool-call-grammar.ts';
import { RecentResults } from '../recent-results.ts';
import type { ToolFormat } from './tools/tool-format.ts';

const GRAMMARS_KEPT = 32;

export class ForcedCalls {
  readonly #grammars = new RecentResults(GRAMMARS_KEPT, compile);

  /** Undefined where nothing is forced. Throws `invalid_request` for a tool whose parameters cannot be used. */
  grammarFor(use: ToolUse | undefined, format: ToolFormat | undefined): string | undefined {
    if (use === undefined || format === undefined) return undefined;
    if (use.choice === 'auto' || use.choice === 'none') return undefined;
    const { tools, choice, single = false } = use;
    const forced: Forced = { tools, choice, single: single || choice !== 'required', form: format.written };
    return this.#grammars.of(JSON.stringify(forced));
  }
}

interface Forced {
  readonly tools: ToolUse['tools'];
  readonly choice: 'required' | { readonly name: string };
  readonly single: boolean;
  readonly form: CallForm;
}

function compile(key: string): string {
  const { tools, choice, single, form } = JSON.parse(key) as Forced;
  const all = tools.map((tool, index) => ({ tool, param: `tools[${index}].parameters` }));
  const allowed = choice === 'required' ? all : all.filter(({ tool }) => tool.name === choice.name);
  return toolCallGrammar({ tools: allowed, form, single });
}
