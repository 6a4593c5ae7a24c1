import { describe, expect, it } from 'vitest';
import type { Message } from '../../../src/core/generation.ts';
import { normalizeTurns } from '../../../src/core/normalize-turns.ts';

const system = (content: string): Message => ({ role: 'system', content });
const user = (content: string): Message => ({ role: 'user', content });
const assistant = (content: string): Message => ({ role: 'assistant', content });
const tool = (content: string): Message => ({ role: 'tool', content, toolCallId: content });
const image = (at: number) => ({ mediaType: 'image/png', base64: 'AAAA', at });
const NOON = '<system-reminder>\nIt is noon.\n</system-reminder>';

describe('a conversation that every chat template takes', () => {
  it('has one system message, made of those at the beginning', () => {
    expect(normalizeTurns([system('Be brief.'), system('Be kind.'), user('hi')])).toEqual([
      system('Be brief.\n\nBe kind.'),
      user('hi'),
    ]);
  });

  it('has a later system message at the end of the message before it, marked', () => {
    expect(normalizeTurns([system('a'), user('hi'), system('It is noon.'), assistant('ok')])).toEqual([
      system('a'),
      user(`hi\n\n${NOON}`),
      assistant('ok'),
    ]);
    expect(normalizeTurns([tool('one'), tool('two'), system('It is noon.')])).toEqual([
      tool('one'),
      { ...tool('two'), content: `two\n\n${NOON}` },
    ]);
  });

  it('has it as a message of the user where the assistant spoke before, together with what the user says next', () => {
    expect(normalizeTurns([user('hi'), assistant('ok'), system('It is noon.')]).at(-1)).toEqual(user(NOON));
    const next: Message = { role: 'user', content: 'ab', images: [image(1)] };
    expect(normalizeTurns([user('hi'), assistant('ok'), system('It is noon.'), next]).slice(2)).toEqual([
      { role: 'user', content: `${NOON}\n\nab`, images: [image(NOON.length + 3)] },
    ]);
  });

  it('has no two messages of the user in a row', () => {
    const seen: Message = { role: 'user', content: 'ab', images: [image(1)] };
    expect(normalizeTurns([seen, seen, system('It is noon.'), user('hi')])).toEqual([
      { role: 'user', content: `ab\n\nab\n\n${NOON}\n\nhi`, images: [image(1), image(5)] },
    ]);
    expect(normalizeTurns([{ ...seen, content: '' }, user('hi')])).toEqual([{ ...seen, content: 'hi' }]);
  });

  it('keeps the beginning of its text as it grows, so that it stays in a cache', () => {
    const whole = [user('hi'), system('It is noon.'), assistant('ok'), tool('1'), system('It is late.')];
    const growing = whole.map((_, end) => normalizeTurns(whole.slice(0, end + 1)));
    for (const [index, shorter] of growing.slice(0, -1).entries()) {
      const text = shorter.map(({ content }) => content).join('');
      expect((growing[index + 1] ?? []).map(({ content }) => content).join('')).toContain(text);
    }
  });

  it('loses what says nothing, and nothing else', () => {
    const same = [system('a'), user('hi'), assistant('ok'), assistant('ok'), user('hi')];
    expect(normalizeTurns(same)).toEqual(same);
    expect(normalizeTurns([user('hi'), system('')])).toEqual([user('hi')]);
    expect(normalizeTurns([system('a')])).toEqual([system('a')]);
  });
});
