/** Templates in the manner of the families there are, rendered by llama.cpp itself. */

import { describe, expect, it } from 'vitest';
import { ConversationRejectedError } from '../../../../../src/backends/llama-cpp/engine/chat-template.ts';
import type { Message, ReasoningEffort, Tool } from '../../../../../src/core/generation.ts';
import { startJinja } from '../../../../support/jinja.ts';

const ofFile = await startJinja();

const ADD: Tool = { name: 'add', description: 'Adds.', parameters: { type: 'object', properties: {} } };
const ask: Message = { role: 'user', content: 'Sum?' };
const call = (id: string, text: string) => ({ id, name: 'add', arguments: text });
const CALLED: readonly Message[] = [
  ask,
  { role: 'assistant', content: '', toolCalls: [call('call_one', '{"a":[1,"x"]}')] },
  { role: 'tool', content: '3', toolCallId: 'call_one' },
];
const CALLED_TWICE: readonly Message[] = [
  ask,
  {
    role: 'assistant',
    content: 'Well.',
    toolCalls: [call('call_one', '{"a":1}'), call('call_two', '{"a":2}')],
  },
  { role: 'tool', content: 'one', toolCallId: 'call_one' },
  { role: 'tool', content: 'two', toolCallId: 'call_two' },
];

function render(
  source: string,
  messages: readonly Message[],
  tools: readonly Tool[] = [],
  thinking: ReasoningEffort = false,
) {
  return ofFile(source).render({ messages, tools, thinking });
}

const turns = (call: string) => `{% for m in messages %}[{{ m.role }}]{{ m.content }}${call}{% endfor %}`;
const QWEN = `{% if tools %}{% for t in tools %}{{ t | tojson }}{% endfor %}<tool_call>{% endif %}${turns(
  '{% for c in m.tool_calls %}<tool_call>{{ c.function.name }} {{ c.function.arguments | tojson }}</tool_call>{% endfor %}',
)}{{ '[assistant]' if add_generation_prompt }}`;

describe('a template that knows of tools', () => {
  it('lists them, and writes calls and results in its own way', () => {
    expect(ofFile(QWEN).toolSyntax.name).toBe('hermes');
    expect(render(QWEN, CALLED, [ADD])).toBe(
      '{"type": "function", "function": {"name": "add", "description": "Adds.", ' +
        '"parameters": {"type": "object", "properties": {}}}}<tool_call>' +
        '[user]Sum?[assistant]<tool_call>add {"a": [1, "x"]}</tool_call>[tool]3[assistant]',
    );
  });

  it('gets arguments as text where it prints them as they stand, or where they are no JSON', () => {
    const printing = QWEN.replaceAll('c.function.arguments | tojson', 'c.function.arguments');
    expect(render(printing, CALLED, [ADD])).toContain('add {"a":[1,"x"]}</tool_call>');
    const broken: Message = { role: 'assistant', content: '', toolCalls: [call('1', '{"a":')] };
    expect(render(QWEN, [ask, broken], [ADD])).toContain('add "{\\"a\\":"</tool_call>');
  });

  it('gets the name of the tool that answers', () => {
    expect(
      render(QWEN.replace('[{{ m.role }}]', '[{{ m.role }} {{ m.name }} {{ m.tool_call_id }}]'), CALLED),
    ).toContain('[tool add call_one]3');
  });

  it('gets earlier calls as text of the model where it leaves them out', () => {
    const forgetful = `${turns('')}{{ tools | tojson if tools }}<|tool_call|>`;
    expect(ofFile(forgetful).toolSyntax.name).toBe('granite');
    expect(render(forgetful, CALLED)).toContain(
      '[assistant]<|tool_call|>[{"name": "add", "arguments": {"a":[1,"x"]}}][tool]3',
    );
  });

  it('takes numbers that no integer holds', () => {
    const tool: Tool = { name: 'add', parameters: { maximum: 2 ** 64, minimum: -1e300 } };
    expect(render(QWEN, [ask], [tool])).toContain(
      '{"maximum": 9223372036854774784, "minimum": -9223372036854774784}',
    );
  });
});

describe('a template that knows no tools, or a syntax that is not read here', () => {
  const spelled = '[system]You can call tools.';
  it.each([
    ['none', `${turns('')}[assistant]`],
    ['another syntax', QWEN.replaceAll('<tool_call>', '<tool_call><function=')],
  ])('has them spelled out: %s', (_name, source) => {
    const text = render(source, CALLED_TWICE, [ADD]);
    expect(ofFile(source).toolSyntax.name).toBe('hermes');
    expect(text).toContain(spelled);
    expect(text).toContain('{"type": "function", "function": {"name": "add", "description": "Adds.", ');
    expect(text).toContain(
      '[user]Sum?[assistant]Well.\n' +
        '<tool_call>\n{"name": "add", "arguments": {"a":1}}\n</tool_call>\n' +
        '<tool_call>\n{"name": "add", "arguments": {"a":2}}\n</tool_call>' +
        '[user]<tool_response>\none\n</tool_response>\n<tool_response>\ntwo\n</tool_response>[assistant]',
    );
  });

  it('keeps the system message in front of them', () => {
    const messages: Message[] = [{ role: 'system', content: 'Be brief.' }, ask];
    expect(render(turns(''), messages, [ADD])).toContain('[system]Be brief.\n\nYou can call tools.');
    expect(render(turns(''), messages)).toBe('[system]Be brief.[user]Sum?');
  });
});

describe('a conversation that a template refuses', () => {
  const refuse = (what: string) => `{{ raise_exception('${what}') }}`;

  it('is rendered with ids of nine characters where these are wanted', () => {
    const source = turns(
      `{% if m.tool_call_id is defined and m.tool_call_id | length != 9 %}${refuse('nine')}{% endif %}` +
        "{% for c in m.tool_calls %}{{ c.id }}{{ c.function | tojson }}{% endfor %}{{ '=' + m.tool_call_id if m.tool_call_id }}",
    );
    const text = render(`${source}{{ tools | tojson if tools }}[TOOL_CALLS]`, CALLED_TWICE);
    expect(text).toMatch(/Well\.call00000\{.*\}call00001\{.*\}\[tool\]one=call00000\[tool\]two=call00001/);
  });

  it('is rendered with one call in a message, followed by its result, where only one may be', () => {
    const source = QWEN.replace(
      '{% for c in',
      `{% if m.tool_calls | length > 1 %}${refuse('single')}{% endif %}{% for c in`,
    );
    expect(render(source, CALLED_TWICE)).toBe(
      '[user]Sum?[assistant]Well.<tool_call>add {"a": 1}</tool_call>[tool]one' +
        '[assistant]<tool_call>add {"a": 2}</tool_call>[tool]two[assistant]',
    );
  });

  it('is rendered with neighbours of one role joined', () => {
    const alternating = `{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}${refuse('alternate')}{% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}`;
    const messages: Message[] = [
      ask,
      { role: 'user', content: 'Now.' },
      { role: 'assistant', content: 'Three.' },
    ];
    expect(render(alternating, messages)).toBe('[user]Sum?\n\nNow.[assistant]Three.');
    const asSystem: Message[] = [{ role: 'system', content: 'Be brief.' }, ...messages];
    expect(render(alternating, asSystem)).toBe('[user]Be brief.\nSum?\n\nNow.[assistant]Three.');
  });

  it.each([
    ['refused', refuse('System message must be at the beginning.')],
    ['dropped', '{% continue %}'],
  ])('is rendered with a later system message as a reminder where that is %s', (_how, otherwise) => {
    const source = `{% for m in messages %}{% if m.role == 'system' and not loop.first %}${otherwise}{% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}`;
    const messages: Message[] = [
      { role: 'system', content: 'Be brief.' },
      ask,
      { role: 'system', content: 'It is noon.' },
    ];
    expect(render(source, messages)).toBe(
      '[system]Be brief.[user]Sum?\n\n<system-reminder>\nIt is noon.\n</system-reminder>',
    );
    expect(render(turns(''), messages)).toBe('[system]Be brief.[user]Sum?[system]It is noon.');
    expect(render(source, [ask, ask])).toBe('[user]Sum?[user]Sum?');
  });

  it('is refused with the words of the template when nothing helps', () => {
    const source = `{% if messages[0].role == 'assistant' %}${refuse('The user has to begin.')}{% endif %}${turns('')}`;
    const begun = () => render(source, [{ role: 'assistant', content: 'Hi' }]);
    expect(begun).toThrow(ConversationRejectedError);
    expect(begun).toThrow('The user has to begin.');
  });
});

describe('what an answer before it thought', () => {
  const thought: Message = { role: 'assistant', content: 'Three.', reasoning: 'Hm.' };
  const thoughts = (name: string) => turns(`{% if m.${name} %}<think>{{ m.${name} }}</think>{% endif %}`);

  it.each(['reasoning_content', 'thinking'])('is given to a template that reads %s', (name) => {
    expect(render(thoughts(name), [ask, thought, ask])).toBe(
      '[user]Sum?[assistant]Three.<think>Hm.</think>[user]Sum?',
    );
  });

  it('stays where calls are written into the text', () => {
    const calls = [call('1', '{}')];
    const said = render(thoughts('thinking'), [ask, { ...thought, toolCalls: calls }]);
    expect(said).toMatch(/Three\.\n<tool_call>\n.*\n<\/tool_call><think>Hm\.<\/think>$/);
  });

  it('comes with calls', () => {
    const source = QWEN.replace('{{ m.content }}', '{{ m.content }}{{ m.thinking }}');
    const said = render(source, [ask, { ...thought, toolCalls: [call('1', '{}')] }], [ADD]);
    expect(said).toContain('[assistant]Three.Hm.<tool_call>add {}</tool_call>');
  });

  it('is left away where the template refuses it', () => {
    const refusing = turns("{% if m.thinking %}{{ raise_exception('no thoughts') }}{% endif %}");
    expect(render(refusing, [ask, thought])).toBe('[user]Sum?[assistant]Three.');
  });
});

describe('what templates read', () => {
  it('is content in parts where it has to be', () => {
    const parts =
      '{% for m in messages %}[{{ m.role }}]{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}';
    expect(render(parts, [{ role: 'system', content: 'a' }, ask])).toBe('[system]a[user]Sum?');
  });

  it('is the tokens that begin and end a text, the date, and how much to think', () => {
    const source =
      '{{ bos_token }}{{ messages[0].content }}{{ eos_token }} {{ date_string }} ' +
      '{{ enable_thinking }} {{ thinking }} {{ reasoning_effort }}';
    expect(render(source, [ask])).toMatch(/^<s>Sum\?<\/s> \d\d [A-Z][a-z]{2} \d{4} False False $/);
    expect(render(source, [ask], [], true)).toMatch(/True True $/);
    expect(render(source, [ask], [], 'low')).toMatch(/True True low$/);
  });
});
