/** What an answer is held to: its format, its calls, or either; checked against what a grammar for all of it allows. */

import { describe, expect, it } from 'vitest';
import {
  hermes,
  llama3,
  mistralNamed,
  type ToolSyntax,
} from '../../../../../src/backends/llama-cpp/engine/tools/tool-syntax.ts';
import { answerGrammar, constraintOf } from '../../../../../src/backends/llama-cpp/grammar/answer-grammar.ts';
import { parseChecked } from '../../../../../src/backends/llama-cpp/grammar/check-grammar.ts';
import type {
  GenerationInput,
  GenerationRequest,
  OutputFormat,
  RequestId,
  Tool,
  ToolChoice,
} from '../../../../../src/core/generation.ts';
import { engineOrSkip, grammarEngine } from '../../../../support/grammar-engine.ts';
import { GrammarWalker } from '../../../../support/grammar-walker.ts';

const engine = await grammarEngine();
const SCHEMA = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const FORMAT: OutputFormat = { kind: 'json-schema', schema: SCHEMA };
const TOOLS = [{ name: 'get_weather', parameters: SCHEMA }, { name: 'now' }];

const CHAT: GenerationInput = { kind: 'chat', messages: [{ role: 'user', content: 'hi' }] };

interface Asked {
  readonly tools?: readonly Tool[];
  readonly choice?: ToolChoice;
  readonly toolSyntax?: ToolSyntax;
  /** `null`: the text has none. */
  readonly output?: OutputFormat | null;
  readonly single?: true;
  readonly input?: GenerationInput;
}

/** Undefined where nothing binds the answer. */
function grammarOf(asked: Asked = {}): string | undefined {
  const {
    tools = TOOLS,
    choice = 'auto',
    toolSyntax = hermes,
    output = FORMAT,
    single,
    input = CHAT,
  } = asked;
  const request: GenerationRequest = {
    id: 'test' as RequestId,
    model: 'demo',
    input,
    sampling: {},
    limits: { stop: [] },
    tools: { tools, choice, ...(single && { single }) },
    ...(output && { output }),
  };
  const constraint = constraintOf(request, toolSyntax.format);
  return constraint && answerGrammar(constraint).gbnf;
}

const boundBy = (asked?: Asked) => grammarOf(asked) ?? '';

const CALL = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>';
const CITY = '{"city":"Rome"}';

describe('an answer', () => {
  it('that may call tools and has a format is calls, or text in the format', async (context) => {
    const reader = engineOrSkip(engine, context);
    const gbnf = boundBy();
    for (const text of [CITY, CALL, `${CALL}\n${CALL}`])
      expect([text, await reader.accepts(gbnf, text)]).toEqual([text, true]);
    for (const text of [`${CITY}${CALL}`, `${CALL}\n${CITY}`, 'Rome', '{"town":"Rome"}', ''])
      expect([text, await reader.accepts(gbnf, text)]).toEqual([text, false]);
  });

  it.each([
    ['hermes', hermes],
    ['llama3', llama3],
    ['mistral', mistralNamed],
  ] as const)('is one or the other in the words of %s', (_, toolSyntax) => {
    const walker = new GrammarWalker(parseChecked(boundBy({ toolSyntax })).flat);
    let seed = 1;
    const random = (limit: number) => {
      seed = (seed * 48271) % 2147483647;
      return seed % limit;
    };
    const begins = toolSyntax.format.opens + toolSyntax.format.callBegins;
    for (let count = 0; count < 60; count++) {
      const text = walker.text(random);
      if (!text.startsWith(begins)) expect(Object.keys(JSON.parse(text))).toEqual(['city']);
    }
  });

  it('has one call where only one is allowed', async (context) => {
    const reader = engineOrSkip(engine, context);
    const gbnf = boundBy({ single: true });
    expect(await reader.accepts(gbnf, CALL)).toBe(true);
    expect(await reader.accepts(gbnf, CITY)).toBe(true);
    expect(await reader.accepts(gbnf, `${CALL}\n${CALL}`)).toBe(false);
  });

  it('follows a grammar of one’s own as well, whatever its rules are called', async (context) => {
    const reader = engineOrSkip(engine, context);
    const gbnf = boundBy({ output: { kind: 'grammar', grammar: 'root ::= call\ncall ::= "yes" | "no"' } });
    for (const text of ['yes', CALL]) expect(await reader.accepts(gbnf, text)).toBe(true);
    expect(await reader.accepts(gbnf, 'call')).toBe(false);
  });

  it('that has to call has no other text, and one that must not call has no calls', async (context) => {
    const reader = engineOrSkip(engine, context);
    for (const choice of ['required', { name: 'now' }] as const) {
      expect(await reader.accepts(boundBy({ choice }), CALL)).toBe(true);
      expect(await reader.accepts(boundBy({ choice }), CITY)).toBe(false);
    }
    const text = answerGrammar({ output: FORMAT }).gbnf;
    expect(grammarOf({ choice: 'none' })).toBe(text);
    expect(grammarOf({ input: { kind: 'text', prompt: 'hi' } })).toBe(text);
    expect(grammarOf({ output: null })).toBeUndefined();
  });

  it('may have 128 tools with a format, and is then told apart letter by letter', () => {
    const tools = Array.from({ length: 128 }, (_, index) => ({ name: `tool_${index}`, parameters: SCHEMA }));
    const gbnf = boundBy({ tools });
    expect(parseChecked(gbnf).flat.rules.length).toBeGreaterThan(0);
  });
});
