import { type TSchema, Type } from 'typebox';
import { describe, expect, it } from 'vitest';
import { compileCheck, describeViolation, showValue } from '../../../src/schema/violation.ts';
import { cpuMs } from '../../support/cpu-time.ts';

/** The message about a value; `none` where it is valid. */
function faultOf(schema: TSchema, value: unknown): string {
  const checked = compileCheck(schema)(value);
  return 'violation' in checked ? describeViolation(checked.violation, 'The body') : 'none';
}

const many = (count: number, entry: unknown): unknown[] => Array.from({ length: count }, () => entry);

describe('a violation', () => {
  const Body = Type.Object(
    {
      name: Type.String({ minLength: 1 }),
      count: Type.Optional(Type.Integer({ minimum: 1, maximum: 9 })),
      tags: Type.Optional(Type.Array(Type.Object({ tag: Type.String() }), { minItems: 1, maxItems: 2 })),
      bias: Type.Optional(Type.Record(Type.String(), Type.Number({ maximum: 5 }), { maxProperties: 2 })),
    },
    { additionalProperties: false },
  );

  it.each([
    ['none', { name: 'a', count: 1, tags: [{ tag: 'a' }], bias: { a: 1 } }],
    ['The body is [], but must be an object.', []],
    ['The body is null, but must be an object.', null],
    ['name is missing. It must be a string of at least 1 character.', {}],
    ['name is missing. It must be a string of at least 1 character.', { name: undefined }],
    ['name is null, but must be a string of at least 1 character.', { name: null }],
    ['nam is not known. Expected one of the known names: name, count, tags, bias.', { name: 'a', nam: 'a' }],
    ['constructor is not known. Expected one of the known names', { name: 'a', constructor: 'a' }],
    ['count is 0, but must be an integer from 1 to 9.', { name: 'a', count: 0 }],
    ['tags is [], but must be a list of 1 to 2 entries, each an object.', { name: 'a', tags: [] }],
    ['tags[1].tag is 5, but must be a string.', { name: 'a', tags: [{ tag: 'a' }, { tag: 5 }] }],
    ['tags[0].tag is missing. It must be a string.', { name: 'a', tags: [{}] }],
    ['bias.b is 6, but must be a number of at most 5.', { name: 'a', bias: { a: 1, b: 6 } }],
    [
      'bias is {"a":1,"b":1,"c":1}, but must be an object of at most 2',
      { name: 'a', bias: { a: 1, b: 1, c: 1 } },
    ],
  ])('names the field, the value and the rule: %s', (message, body) => {
    expect(faultOf(Body, body)).toContain(message);
  });

  it('never shows what its schema calls a secret, nor what is unknown', () => {
    const Secret = Type.Object(
      { key: Type.String({ minLength: 8, secret: true }) },
      { additionalProperties: false },
    );
    expect(faultOf(Secret, { key: 'hunter2' })).toMatch(/^key is \(not shown\), but must be/);
    expect(faultOf(Secret, { key: 'hunter22', kye: 'hunter22' })).not.toContain('hunter22');
  });
});

describe('in a union', () => {
  const Text = Type.Object({ type: Type.Literal('text'), text: Type.String() });
  const Image = Type.Object({
    type: Type.Literal('image'),
    source: Type.Union([
      Type.Object({ type: Type.Literal('base64'), data: Type.String({ minLength: 1 }) }),
      Type.Object({ type: Type.Literal('url'), url: Type.String() }),
    ]),
  });
  const Result = Type.Object({ type: Type.Enum(['result', 'outcome']), content: Type.Array(Text) });
  const Content = Type.Union([Type.String(), Type.Array(Type.Union([Text, Image, Result]))]);
  const Message = Type.Union([
    Type.Object({ role: Type.Literal('user'), content: Content }),
    Type.Object({ role: Type.Literal('assistant'), content: Type.Optional(Type.String()) }),
  ]);
  const Body = Type.Object({ messages: Type.Array(Message) });
  const user = (content: unknown) => ({ messages: [{ role: 'user', content }] });

  it.each([
    ['none', user('hi')],
    [
      'none',
      user([
        { type: 'text', text: 'hi' },
        { type: 'outcome', content: [] },
      ]),
    ],
    ['messages[0].content is 5, but must be a string or a list, each an object.', user(5)],
    ['messages[0].content is missing. It must be a string or a list, each an object.', user(undefined)],
    ['messages[0].content[0] is "hi", but must be an object.', user(['hi'])],
    [
      'messages[0].content[1].text is missing. It must be a string.',
      user([{ type: 'text', text: 'a' }, { type: 'text' }]),
    ],
    [
      'messages[0].content[0].content[0].text is 5, but must be a string.',
      user([{ type: 'result', content: [{ type: 'text', text: 5 }] }]),
    ],
    ['messages[0].content is 5, but must be a string.', { messages: [{ role: 'assistant', content: 5 }] }],
  ])('the fault is that of the variant that is meant: %s', (message, body) => {
    expect(faultOf(Body, body)).toBe(message);
  });

  it.each([
    [
      'messages[0].role is "robot", but must be one of "user", "assistant".',
      { messages: [{ role: 'robot' }] },
    ],
    [
      'messages[0].role is missing. It must be one of "user", "assistant".',
      { messages: [{ content: 'hi' }] },
    ],
    ['messages[0].role is null, but must be one of "user", "assistant".', { messages: [{ role: null }] }],
    [
      'messages[0].content[0].type is "sound", but must be one of "text", "image", "result", "outcome".',
      user([{ type: 'sound' }]),
    ],
    ['messages[0].content[0].type is missing. It must be one of "text"', user([{ text: 'hi' }])],
    ['messages[0].content[0].type is {}, but must be one of "text"', user([{ type: {} }])],
    [
      'messages[0].content[0].source.type is "file", but must be one of "base64", "url".',
      user([{ type: 'image', source: { type: 'file' } }]),
    ],
    [
      'messages[0].content[0].source.data is ""',
      user([{ type: 'image', source: { type: 'base64', data: '' } }]),
    ],
    [
      'messages[0].content[0].source is "a.png", but must be an object.',
      user([{ type: 'image', source: 'a.png' }]),
    ],
  ])('a property that tells the variants apart takes the values of all: %s', (message, body) => {
    expect(faultOf(Body, body)).toContain(message);
  });

  it('lists are told apart by their first entry', () => {
    const Input = Type.Union([
      Type.String(),
      Type.Array(Type.String({ minLength: 1 })),
      Type.Array(Type.Integer({ minimum: 0 })),
      Type.Array(Type.Array(Type.Integer({ minimum: 0 }))),
    ]);
    const Lists = Type.Object({ input: Input });
    expect(faultOf(Lists, { input: ['a', 1] })).toMatch(/^input\[1\] is 1, but must be a string/);
    expect(faultOf(Lists, { input: [1, 'a'] })).toBe(
      'input[1] is "a", but must be an integer of at least 0.',
    );
    expect(faultOf(Lists, { input: [[1], [-1]] })).toMatch(/^input\[1\]\[0\] is -1/);
    expect(faultOf(Lists, { input: [true] })).toMatch(/^input is \[true\], but must be a string or a list/);
    expect(faultOf(Lists, { input: [...many(500, 'a'), 1] })).toMatch(/^input\[500\] is 1/);
  });

  it('a variant for all other types takes none of a known type', () => {
    const Other = Type.Object({ type: Type.String({ not: { enum: ['text'] }, title: 'another type' }) });
    const Part = Type.Union([Text, Other]);
    expect(faultOf(Part, { type: 'film' })).toBe('none');
    expect(faultOf(Part, { type: 'text' })).toBe('text is missing. It must be a string.');
    expect(faultOf(Part, { type: 5 })).toBe('type is 5, but must be "text" or another type.');
  });

  it('what is rejected by name is not offered', () => {
    const Part = Type.Union([Text, Type.Object({ type: Type.Literal('sound') }, { deprecated: true })]);
    expect(faultOf(Part, { type: 'sound' })).toBe('none');
    expect(faultOf(Part, { type: 'film' })).toBe('type is "film", but must be "text".');
  });

  it('a wrong constant is named before what its object lacks', () => {
    const Source = Type.Object({
      data: Type.String(),
      type: Type.Literal('base64', { title: '"base64" alone' }),
    });
    expect(faultOf(Source, { type: 'url' })).toBe('type is "url", but must be "base64" alone.');
    expect(faultOf(Source, { type: 'base64' })).toBe('data is missing. It must be a string.');
    expect(faultOf(Source, {})).toBe('data is missing. It must be a string.');
  });

  it('variants of one type are told apart by the next constant', () => {
    const Item = Type.Union([
      Type.Object({
        type: Type.Optional(Type.Literal('message')),
        role: Type.Literal('user'),
        text: Type.String(),
      }),
      Type.Object({ type: Type.Optional(Type.Literal('message')), role: Type.Literal('assistant') }),
      Type.Object({
        type: Type.Literal('call'),
        role: Type.Optional(Type.Literal('none')),
        name: Type.String(),
      }),
    ]);
    expect(faultOf(Item, { type: 'message', role: 'user' })).toBe('text is missing. It must be a string.');
    expect(faultOf(Item, { role: 'user' })).toBe('text is missing. It must be a string.');
    expect(faultOf(Item, { type: 'call' })).toBe('name is missing. It must be a string.');
    expect(faultOf(Item, { type: 'message', role: 'x' })).toBe(
      'role is "x", but must be one of "user", "assistant".',
    );
    expect(faultOf(Item, { type: 'x' })).toBe('type is "x", but must be one of "message", "call".');
  });

  it('a constant may be a pattern, described by its title', () => {
    const Tool = Type.Union([
      Type.Object({ type: Type.Optional(Type.Literal('custom')), name: Type.String() }),
      Type.Object({ type: Type.String({ pattern: '^bash_\\d+$', title: 'the type of a known tool' }) }),
    ]);
    expect(faultOf(Tool, { type: 'bash_1' })).toBe('none');
    expect(faultOf(Tool, {})).toBe('name is missing. It must be a string.');
    expect(faultOf(Tool, { type: 'bash' })).toBe(
      'type is "bash", but must be "custom" or the type of a known tool.',
    );
  });

  it('that nothing tells apart the value as a whole is named', () => {
    const Prompt = Type.Object({
      prompt: Type.Union([
        Type.Array(Type.Integer({ minimum: 0 })),
        Type.Array(Type.Integer({ maximum: 9 })),
      ]),
      area: Type.Optional(
        Type.Union([Type.Object({ width: Type.Integer() }), Type.Object({ radius: Type.Integer() })]),
      ),
    });
    expect(faultOf(Prompt, { prompt: [...many(500, 5), -1, 10] })).toMatch(
      /^prompt is \[5,.*but must be a list, each an integer of at least 0 or a list, each an integer of at most 9\.$/,
    );
    expect(faultOf(Prompt, { prompt: [], area: {} })).toBe('area is {}, but must be an object.');
  });

  it('of constants and other kinds each is listed once', () => {
    const Think = Type.Object({
      think: Type.Union([Type.Literal('low'), Type.Boolean(), Type.Enum(['low', 'high']), Type.Null()]),
    });
    expect(faultOf(Think, { think: 'max' })).toBe(
      'think is "max", but must be one of "low", "high" or true or false or null.',
    );
  });
});

describe('in a long list', () => {
  const Body = Type.Object({
    names: Type.Optional(Type.Array(Type.Object({ name: Type.String() }), { maxItems: 2000 })),
    parts: Type.Optional(
      Type.Array(
        Type.Union([
          Type.Object({ type: Type.Literal('a'), list: Type.Array(Type.Integer()) }),
          Type.Object({ type: Type.Literal('b') }),
        ]),
      ),
    ),
  });

  it('the first wrong entry is named by its place', () => {
    const names = [...many(1500, { name: 'a' }), { name: 5 }, ...many(10, 1)];
    expect(faultOf(Body, { names })).toBe('names[1500].name is 5, but must be a string.');
  });

  it('with too many entries the number is named', () => {
    expect(faultOf(Body, { names: many(2001, { name: 'a' }) })).toMatch(/^names is .* at most 2000 entries/);
  });

  it('a million wrong entries are found out as fast as one', () => {
    const ones = many(1_000_000, 1);
    const list = [...ones, 'a'];
    const startedAt = cpuMs();
    expect(faultOf(Body, { names: ones })).toMatch(/^names is .* at most 2000/);
    expect(faultOf(Body, { parts: ones })).toMatch(/^parts\[0\] is 1/);
    expect(faultOf(Body, { parts: [{ type: 'a', list }] })).toMatch(/^parts\[0\]\.list\[1000000\] is "a"/);
    expect(faultOf(Body, ones)).toMatch(/^The body is/);
    expect(cpuMs() - startedAt).toBeLessThan(5000);
  });
});

describe('a value in an error', () => {
  it.each([
    [undefined, 'not given'],
    [null, 'null'],
    [1.5, '1.5'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
    ['a"b', '"a\\"b"'],
    [[], '[]'],
    [{}, '{}'],
    [[1, 'a', [true, null]], '[1,"a",[true,null]]'],
    [{ a: { b: [] }, c: 1 }, '{"a":{"b":[]},"c":1}'],
    ['x'.repeat(100), `"${'x'.repeat(59)}…`],
  ])('%j is shown as JSON, cut at 60 characters', (value, shown) => {
    expect(showValue(value)).toBe(shown);
  });

  it.each([
    ['a long list', () => Array.from({ length: 1000 }, (_, at) => at)],
    [
      'an object of many keys',
      () => Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`k${at}`, at])),
    ],
    ['lists in lists', () => Array.from({ length: 100 }, () => [[1, 2], [3]])],
  ])('%s is shown by its beginning', (_, make) => {
    expect(showValue(make())).toBe(`${JSON.stringify(make()).slice(0, 60)}…`);
  });

  it('is not looked at beyond what is shown', () => {
    let looks = 0;
    const list = new Proxy(Array<number>(100_000).fill(1), {
      get: (target, name) => {
        looks += 1;
        return Reflect.get(target, name, target);
      },
    });
    expect(showValue(list)).toMatch(/^\[1,1,1.*…$/);
    expect(looks).toBeLessThan(200);
  });
});
