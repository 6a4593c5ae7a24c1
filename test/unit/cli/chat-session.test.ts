import { describe, expect, it } from 'vitest';
import { CHAT_COMMANDS, ChatSession, Interrupts, readSavedChat } from '../../../src/cli/chat-session.ts';

const fresh = () => new ChatSession({ model: undefined, system: undefined, parameters: {} });

describe('the conversation', () => {
  it('carries questions and answers, and the system prompt before them', () => {
    const session = fresh();
    session.enter('/system Be brief.');
    expect(session.enter('one')).toEqual({ kind: 'ask' });
    session.answered('first');
    session.enter('two');
    expect(session.request()).toEqual({
      model: undefined,
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'one' },
        { role: 'assistant', content: 'first' },
        { role: 'user', content: 'two' },
      ],
      parameters: {},
    });
  });

  it('keeps the part of an answer that was stopped', () => {
    const session = fresh();
    session.enter('one');
    session.answered('the begin');
    expect(session.messages.at(-1)).toEqual({ role: 'assistant', content: 'the begin' });
  });

  it('asks a question that failed again with /retry, and not with the next question', () => {
    const session = fresh();
    session.enter('one');
    expect(session.enter('/retry')).toEqual({ kind: 'ask' });
    expect(session.request().messages).toEqual([{ role: 'user', content: 'one' }]);
    session.enter('two');
    expect(session.request().messages).toEqual([{ role: 'user', content: 'two' }]);
  });

  it('asks an answered question anew with /retry', () => {
    const session = fresh();
    session.enter('one');
    session.answered('first');
    expect(session.enter('/retry')).toEqual({ kind: 'ask' });
    expect(session.request().messages).toEqual([{ role: 'user', content: 'one' }]);
    session.answered('second');
    expect(session.messages.map(({ content }) => content)).toEqual(['one', 'second']);
  });

  it('has nothing to ask again at its beginning', () => {
    expect(fresh().enter('/retry')).toMatchObject({ kind: 'complain' });
  });

  it('is forgotten with /clear; the settings stay', () => {
    const session = fresh();
    session.enter('/set temperature 0.2');
    session.enter('/system Be brief.');
    session.enter('one');
    session.answered('first');
    session.enter('/clear');
    expect(session.messages).toEqual([]);
    expect(session).toMatchObject({ system: 'Be brief.', parameters: { temperature: 0.2 } });
  });

  it('is the same after it was saved and loaded', () => {
    const session = fresh();
    session.chooseModel('small');
    session.enter('/system Be brief.');
    session.enter('/set stop END');
    session.enter('/set max_tokens 20');
    session.enter('one');
    session.answered('first');
    const read = readSavedChat(JSON.stringify(session.saved()));
    const again = fresh();
    if (typeof read === 'string') throw new Error(read);
    again.load(read);
    expect(again.saved()).toEqual(session.saved());
  });
});

describe('commands', () => {
  it.each([
    ['/model', { kind: 'models' }],
    ['/model qwen3', { kind: 'model', name: 'qwen3' }],
    ['/MODEL qwen3', { kind: 'model', name: 'qwen3' }],
    ['/stats', { kind: 'stats' }],
    ['/save a b.json', { kind: 'save', file: 'a b.json' }],
    ['/load x.json', { kind: 'load', file: 'x.json' }],
    ['/quit', { kind: 'leave' }],
    ['/bye', { kind: 'leave' }],
    ['  /exit  ', { kind: 'leave' }],
    ['', { kind: 'nothing' }],
    ['   ', { kind: 'nothing' }],
  ])('%s', (text, action) => {
    expect(fresh().enter(text)).toEqual(action);
  });

  it.each(['/usr/bin is what?', '/etc/hosts', '/ is the root', 'use /help', '//comment'])(
    '"%s" is a question',
    (text) => {
      expect(fresh().enter(text)).toEqual({ kind: 'ask' });
    },
  );

  it('complains of an unknown one, with what was probably meant', () => {
    expect(fresh().enter('/modle x')).toEqual({
      kind: 'complain',
      text: 'There is no /modle. Did you mean /model? /help lists the commands.',
    });
    expect(fresh().enter('/constructor')).toMatchObject({ kind: 'complain' });
  });

  it('/help has each command, in 80 columns', () => {
    const action = fresh().enter('/help');
    const text = action.kind === 'say' ? action.text : '';
    for (const name of CHAT_COMMANDS.filter((each) => each !== 'help')) expect(text).toContain(`/${name}`);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it('/system shows, sets and removes the system prompt', () => {
    const session = fresh();
    expect(session.enter('/system')).toEqual({ kind: 'say', text: 'There is no system prompt.' });
    session.enter('/system Be brief.\nAnd polite.');
    expect(session.enter('/system')).toEqual({ kind: 'say', text: 'Be brief.\nAnd polite.' });
    session.enter('/system off');
    expect(session.system).toBeUndefined();
  });
});

describe('/set', () => {
  it.each([
    ['/set temperature 0.2', { temperature: 0.2 }],
    ['/set temperature=0.2', { temperature: 0.2 }],
    ['/set parameter temperature 0.2', { temperature: 0.2 }],
    ['/set max-tokens 20', { max_tokens: 20 }],
    ['/set seed 0', { seed: 0 }],
    ['/set stop a b', { stop: ['a b'] }],
    ['/set reasoning_effort high', { reasoning_effort: 'high' }],
  ])('%s', (text, parameters) => {
    const session = fresh();
    expect(session.enter(text)).toMatchObject({ kind: 'say' });
    expect(session.parameters).toEqual(parameters);
  });

  it.each([
    ['/set temperature 3', 'temperature is "3", but must be a number from 0 to 2.'],
    ['/set temperature warm', 'temperature is "warm", but must be a number from 0 to 2.'],
    ['/set max_tokens 1.5', 'max_tokens is "1.5", but must be a whole number from 1 to 1000000.'],
    ['/set temprature 1', 'There is no parameter "temprature". Did you mean temperature?'],
    ['/set constructor 1', 'There is no parameter "constructor".'],
  ])('%s is rejected', (text, complaint) => {
    const session = fresh();
    const action = session.enter(text);
    expect(action).toMatchObject({ kind: 'complain' });
    expect(action.kind === 'complain' && action.text).toContain(complaint);
    expect(session.parameters).toEqual({});
  });

  it('without a value resets the parameter', () => {
    const session = fresh();
    session.enter('/set temperature 0.2');
    session.enter('/set temperature');
    expect(session.parameters).toEqual({});
  });
});

describe('a saved conversation', () => {
  it('may be the body of a chat request', () => {
    const text = JSON.stringify({
      model: 'small',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'one' },
        { role: 'assistant', content: 'first' },
      ],
    });
    expect(readSavedChat(text)).toEqual({
      model: 'small',
      system: 'Be brief.',
      parameters: {},
      messages: [
        { role: 'user', content: 'one' },
        { role: 'assistant', content: 'first' },
      ],
    });
  });

  it.each([
    ['{', 'the file is no JSON'],
    ['null', 'the file has no list "messages"'],
    ['{"messages":{}}', 'the file has no list "messages"'],
    ['{"messages":[null]}', 'not every message is a text'],
    ['{"messages":[{"role":"tool","content":"x"}]}', 'not every message is a text'],
    ['{"messages":[],"parameters":{"temperature":"hot"}}', 'temperature is "hot"'],
  ])('%s is rejected', (text, complaint) => {
    expect(readSavedChat(text)).toContain(complaint);
  });
});

describe('Ctrl-C', () => {
  const idle = { answering: false, typed: false };
  const answering = { answering: true, typed: false };

  it('stops the answer, and leaves when it is pressed again', () => {
    const interrupts = new Interrupts();
    expect(interrupts.press(answering)).toBe('stop');
    expect(interrupts.press(idle)).toBe('leave');
  });

  it('leaves at an empty prompt when it is pressed twice', () => {
    const interrupts = new Interrupts();
    expect(interrupts.press(idle)).toBe('warn');
    expect(interrupts.press(idle)).toBe('leave');
  });

  it('clears what was typed, as often as there is something', () => {
    const interrupts = new Interrupts();
    expect(interrupts.press({ answering: false, typed: true })).toBe('clear');
    expect(interrupts.press({ answering: false, typed: true })).toBe('clear');
    expect(interrupts.press(idle)).toBe('warn');
  });

  it('counts anew after another key', () => {
    const interrupts = new Interrupts();
    interrupts.press(answering);
    interrupts.reset();
    expect(interrupts.press(answering)).toBe('stop');
  });
});
