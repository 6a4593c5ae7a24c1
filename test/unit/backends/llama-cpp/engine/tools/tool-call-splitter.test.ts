import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ToolCallSplitter } from '../../../../../../src/backends/llama-cpp/engine/tools/tool-call-splitter.ts';
import {
  granite,
  hermes,
  llama3,
  mistralList,
  mistralNamed,
  type ToolSyntax,
  writeCalls,
} from '../../../../../../src/backends/llama-cpp/engine/tools/tool-syntax.ts';

const SYNTAXES = [hermes, llama3, mistralList, mistralNamed, granite];
const NAMES = ['get_weather', 'add'];

/** As `expect` says it, but as cheap as a comparison: it is asked for each of thousands of pieces. */
function hold(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

function run(pieces: readonly string[], syntax: ToolSyntax = hermes) {
  const splitter = new ToolCallSplitter({ syntax, names: NAMES });
  const parts = [...pieces.map((piece) => splitter.push(piece)), splitter.flush()];
  const calls: { name: string; arguments: string }[] = [];
  let text = '';
  let completed = 0;
  let cutOff = false;
  /** Text and calls in the order they came. */
  const order: string[] = [];
  for (const part of parts.flat()) {
    if (part.type === 'call') {
      hold(part.index === calls.length, 'a call has the next index');
      calls.push({ name: part.name, arguments: '' });
      order.push(`#${part.index}`);
      cutOff = true;
    } else if (part.type === 'arguments') {
      hold(part.index === calls.length - 1, 'what follows is of the last call');
      hold(part.delta !== '', 'arguments are not empty');
      calls[part.index]!.arguments += part.delta;
    } else if (part.type === 'complete') {
      hold(part.index === calls.length - 1, 'the last call is complete');
      completed += 1;
      cutOff = false;
    } else {
      cutOff = false;
      hold(part.text !== '', 'text is not empty');
      text += part.text;
      if (order.at(-1)?.startsWith('#') === false) order[order.length - 1] += part.text;
      else order.push(part.text);
    }
  }
  return { parts, calls, text, order, completed, cutOff };
}

const PARIS = { name: 'get_weather', arguments: '{"city": "Paris"}' };
const SUM = { name: 'add', arguments: '{"a": 1, "b": [2, {"c": null}]}' };

describe.each(SYNTAXES.map((syntax) => [syntax.name, syntax] as const))(
  'calls in the syntax of %s',
  (_name, syntax) => {
    it('are read as they are written', () => {
      for (const calls of [[PARIS], [PARIS, SUM], [SUM, SUM, PARIS]])
        expect(run([writeCalls(calls, syntax.format)], syntax)).toMatchObject({
          calls,
          text: '',
          completed: calls.length,
          cutOff: false,
        });
    });

    it('come with the name first, then with their arguments piece by piece', () => {
      const written = writeCalls([PARIS], syntax.format);
      const parts = run([...written], syntax).parts.flat();
      expect(parts[0]).toEqual({ type: 'call', index: 0, name: 'get_weather' });
      expect(parts.slice(1)).toEqual([
        ...[...PARIS.arguments].map((delta) => ({ type: 'arguments', index: 0, delta })),
        { type: 'complete', index: 0 },
      ]);
    });

    it('are text where there is no such tool', () => {
      const calls = [{ name: 'get_whether', arguments: '{"city":"Paris"}' }];
      const written = writeCalls(calls, syntax.format);
      expect(run([written], syntax)).toMatchObject({ calls: [], text: written, completed: 0 });
    });

    it('end with what has come when the answer is cut off', () => {
      const written = writeCalls([PARIS], syntax.format);
      const cut = written.slice(0, written.indexOf('Paris') + 3);
      expect(run([cut], syntax)).toMatchObject({
        calls: [{ name: 'get_weather', arguments: '{"city": "Par' }],
        text: '',
        completed: 0,
        cutOff: true,
      });
      const begun = written.slice(0, written.indexOf('weather'));
      expect(run([begun], syntax)).toMatchObject({ calls: [], text: begun, cutOff: false });
    });

    it('are followed by text, without the blanks between', () => {
      const written = writeCalls([PARIS], syntax.format);
      expect(run([`${written}\n\nDone. `], syntax)).toMatchObject({ calls: [PARIS], text: 'Done. ' });
    });
  },
);

describe('ToolCallSplitter', () => {
  const call = (inside: string) => `<tool_call>\n${inside}\n</tool_call>`;
  const paris = call('{"name": "get_weather", "arguments": {"city": "Paris"}}');

  it('leaves text without calls as it is', () => {
    const text = '\n <tool_ca <tool_call <|python_tag| [TOOL {"name": "add"} \n\n';
    for (const syntax of SYNTAXES) expect(run([text], syntax)).toMatchObject({ calls: [], text });
  });

  it('keeps the text before calls, without the blanks at its end', () => {
    expect(run([`I will look.\n\n${paris}\n${paris}`])).toMatchObject({
      text: 'I will look.',
      calls: [PARIS, PARIS],
      order: ['I will look.', '#0', '#1'],
    });
  });

  it('holds back only what can still become a call', () => {
    const pieces = ['Hi <', 'b> ', '\n<tool', '_ca', 'p>', ' x'];
    expect(run(pieces).parts).toEqual([
      [{ type: 'text', text: 'Hi' }],
      [{ type: 'text', text: ' <b>' }],
      [],
      [],
      [{ type: 'text', text: ' \n<tool_cap>' }],
      [{ type: 'text', text: ' x' }],
      [],
    ]);
  });

  it('takes a list, or one object after another, between the tags as well', () => {
    const a = '{"name":"add","arguments":{"a":1}}';
    const calls = [
      { name: 'add', arguments: '{"a":1}' },
      { name: 'add', arguments: '{"a":1}' },
    ];
    for (const inside of [`[${a}, ${a}]`, `${a}\n${a}`, `[ ${a},${a}\n`, `${a},${a}`])
      expect(run([call(inside)])).toMatchObject({ calls, text: '', completed: 2 });
  });

  it.each([
    ['the arguments first', '{"arguments": {"city": "Paris"}, "name": "get_weather"}', '{"city": "Paris"}'],
    ['other members', '{"id":[1,{"name":"x"}],"name":"get_weather","n":1.5e3,"arguments":{},"t":"a}"}', '{}'],
    ['the other key', '{"name": "get_weather", "parameters": {"a":{}}}', '{"a":{}}'],
    ['no arguments', '{"name": "get_weather"}', '{}'],
    ['null for arguments', '{"arguments": null, "name": "get_weather"}', '{}'],
    ['an empty string', '{"name": "get_weather", "arguments": ""}', '{}'],
    [
      'arguments in a string',
      '{"name":"get_weather","arguments":" {\\"a\\": \\"\\\\n\\u00e9\\"} "}',
      '{"a": "\\né"}',
    ],
    [
      'a split surrogate pair',
      '{"name":"get_weather","arguments":"{\\"a\\":\\"\\ud83d\\ude00\\"}"}',
      '{"a":"😀"}',
    ],
    [
      'raw newlines in strings',
      '{"name":"get_weather","arguments":{"a":"b\nc",\n"d":"\t"}}',
      '{"a":"b\\nc",\n"d":"\\t"}',
    ],
    ['an escaped name', '{"name":"get_\\u0077eather","arguments":{}}', '{}'],
    ['no closing brace', '{"name":"get_weather","arguments":{"a":1}', '{"a":1}'],
  ])('reads a call with %s', (_name, written, expected) => {
    const said = run([call(written)]);
    expect(said).toMatchObject({
      calls: [{ name: 'get_weather', arguments: expected }],
      text: '',
      completed: 1,
    });
    expect(run([...call(written)])).toMatchObject({ calls: said.calls, text: '' });
  });

  it.each([
    ['not JSON', 'get_weather(Paris)'],
    ['no object', '"get_weather"'],
    ['no calls', '[]'],
    ['no name', '{"arguments": {"city": "Paris"}}'],
    ['a name that is no string', '{"name": 1, "arguments": {}}'],
    ['arguments that are a list', '{"name": "add", "arguments": [1]}'],
    ['arguments that are a number', '{"name": "add", "arguments": 1}'],
    ['arguments that are prose', '{"name": "add", "arguments": "one and two"}'],
    ['broken JSON', '{"name": "add" "arguments": {}}'],
  ])('gives back as text what has %s', (_name, inside) => {
    const text = `Well:\n${call(inside)} \n`;
    expect(run([text])).toMatchObject({ calls: [], text, completed: 0 });
    expect(run([...text])).toMatchObject({ calls: [], text });
  });

  it('finds a call behind something that began like one', () => {
    expect(run([`<tool_call><tool_call {<tool_call>x${paris}`])).toMatchObject({
      text: '<tool_call><tool_call {<tool_call>x',
      calls: [PARIS],
    });
  });

  it('ends a call where its arguments break, and goes on with text', () => {
    expect(run([call('{"name": "add", "arguments": {"a": oops}}')])).toMatchObject({
      calls: [{ name: 'add', arguments: '{"a": ' }],
      text: 'oops}}\n</tool_call>',
      completed: 0,
      cutOff: false,
    });
  });

  it('gives back what follows a call and does not belong to it', () => {
    expect(run([`${paris.replace('\n</tool_call>', '}</tool_call>')}`])).toMatchObject({
      calls: [PARIS],
      text: '}</tool_call>',
    });
    expect(run(['<tool_call>{"name":"add","arguments":{}} </tool'])).toMatchObject({
      text: '',
      completed: 1,
    });
  });

  it('takes bare JSON for a call at the very beginning only, and only of a tool there is', () => {
    const bare = '{"name": "get_weather", "parameters": {"city": "Paris"}}';
    expect(run([`\n ${bare}`], llama3)).toMatchObject({ calls: [PARIS], text: '' });
    expect(run([`<|python_tag|>${bare}`], llama3)).toMatchObject({ calls: [PARIS], text: '' });
    expect(run([`Sure: ${bare}`], llama3)).toMatchObject({ calls: [], text: `Sure: ${bare}` });
    expect(run([bare], hermes)).toMatchObject({ calls: [], text: bare });
    const other = ' {"name": "Bob", "age": 5}';
    expect(run([other], llama3)).toMatchObject({ calls: [], text: other });
  });

  it('reads the names and ids of newer Mistral models, and the older list', () => {
    const said = '[TOOL_CALLS]add[CALL_ID]a1b2c3d4e[ARGS]{"a": 1}[TOOL_CALLS]add[ARGS]{"a": 2}';
    const calls = [
      { name: 'add', arguments: '{"a": 1}' },
      { name: 'add', arguments: '{"a": 2}' },
    ];
    expect(run([said], mistralNamed)).toMatchObject({ calls, text: '' });
    const list = '[TOOL_CALLS] [{"name": "add", "arguments": {"a": 1}, "id": "a1b2c3d4e"}]';
    expect(run([list], mistralNamed)).toMatchObject({ calls: calls.slice(0, 1), text: '' });
  });

  it('stops holding back at some length, whatever is written', () => {
    const long = 'x'.repeat(70_000);
    for (const [syntax, text] of [
      [hermes, `<tool_call>{"other": "${long}`],
      [hermes, `<tool_call>${' '.repeat(70_000)}`],
      [hermes, ' '.repeat(70_000)],
      [llama3, ' '.repeat(70_000)],
      [mistralNamed, `[TOOL_CALLS]${long}`],
    ] as const) {
      const splitter = new ToolCallSplitter({ syntax, names: NAMES });
      const told = (text.match(/.{1,700}/gs) ?? []).flatMap((piece) => splitter.push(piece));
      expect(told.length).toBeGreaterThan(0);
      expect(run([text], syntax)).toMatchObject({ calls: [], text });
    }
  });

  it('splits alike however the text is cut into pieces', () => {
    const unit = fc.constantFrom(
      ...['a', ' ', '\n', ',', '{', '}', '[', ']', '"', '<', '</', '\\', '1', '😀', '[ARGS]', '[CALL_ID]'],
      ...[
        '<tool_call>',
        '</tool_call>',
        '<|python_tag|>',
        '[TOOL_CALLS]',
        '<|tool_call|>',
        'add',
        'get_weather',
      ],
      ...[
        '{"name": "add", ',
        '"arguments": ',
        '"parameters":',
        '{"a":"b"}',
        '"{\\"a\\":1}"',
        '}}',
        '"name":"add"',
      ],
      ...SYNTAXES.map((syntax) => writeCalls([PARIS, SUM], syntax.format)),
    );
    const texts = fc.array(unit, { maxLength: 12 }).map((units) => units.join(''));
    const cuts = fc.array(fc.nat({ max: 120 }), { maxLength: 6 });
    fc.assert(
      fc.property(texts, cuts, fc.constantFrom(...SYNTAXES), (text, places, syntax) => {
        const { parts: _, ...whole } = run([text], syntax);
        const sorted = [0, ...places.filter((at) => at < text.length).sort((a, b) => a - b), text.length];
        const pieces = sorted.slice(1).map((end, at) => text.slice(sorted[at], end));
        for (const cut of [pieces, [...text]]) {
          const { parts: _, ...said } = run(cut, syntax);
          expect(said).toEqual(whole);
        }
      }),
      { numRuns: 1500 },
    );
  });

  it('gives arguments that are the JSON that was meant, whatever it is', () => {
    const values = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue());
    fc.assert(
      fc.property(values, fc.constantFrom(...SYNTAXES), fc.boolean(), (value, syntax, wrapped) => {
        const text = JSON.stringify(value);
        const asString = wrapped && syntax.named === undefined;
        const call = { name: 'add', arguments: asString ? JSON.stringify(text) : text };
        const { calls, text: other, completed } = run([...writeCalls([call], syntax.format)], syntax);
        expect([other, completed]).toEqual(['', 1]);
        expect(JSON.parse(calls[0]!.arguments)).toEqual(JSON.parse(text));
      }),
    );
  });
});
