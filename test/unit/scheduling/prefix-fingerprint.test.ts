import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GenerationInput, Message, Role } from '../../../src/core/generation.ts';
import { fingerprintOf, lengthOf, sharedCharacters } from '../../../src/scheduling/prefix-fingerprint.ts';
import { runs } from '../../support/property-runs.ts';

function chat(...contents: string[]): GenerationInput {
  const roles: readonly Role[] = ['user', 'assistant'];
  return {
    kind: 'chat',
    messages: contents.map((content, index) => ({ role: roles[index % 2] as Role, content })),
  };
}

function text(prompt: string): GenerationInput {
  return { kind: 'text', prompt };
}

function shared(one: GenerationInput, other: GenerationInput): number {
  return sharedCharacters(fingerprintOf(one, undefined), fingerprintOf(other, undefined));
}

describe('the fingerprint of a conversation', () => {
  it('is found whole in that of its next turn', () => {
    const asked = chat('What is a slot?');
    const next = chat('What is a slot?', 'A place to run.', 'How many are there?');
    expect(shared(asked, next)).toBe(lengthOf(fingerprintOf(asked, undefined)));
    expect(shared(next, asked)).toBe(shared(asked, next));
  });

  it('shares with another one the messages that both begin with', () => {
    const one = chat('a'.repeat(100), 'b'.repeat(50), 'one');
    const other = chat('a'.repeat(100), 'b'.repeat(50), 'other', 'and so on');
    expect(shared(one, other)).toBe(100 + 16 + 50 + 16);
    expect(shared(one, chat('a'.repeat(100), 'c'.repeat(50), 'one'))).toBe(116);
    expect(shared(one, chat('A'.repeat(100), 'b'.repeat(50), 'one'))).toBe(0);
  });

  it('is that of its roles too, and of where its messages end', () => {
    const system: GenerationInput = { kind: 'chat', messages: [{ role: 'system', content: 'be brief' }] };
    expect(shared(system, chat('be brief'))).toBe(0);
    expect(shared(chat('ab', 'c'), chat('a', 'bc'))).toBe(0);
    expect(shared(chat('hello'), text('hello'))).toBe(0);
  });

  it('keeps little of hundreds of messages, and is still found in the next turn', () => {
    const contents = Array.from({ length: 501 }, (_, index) => `message ${index}`);
    const asked = fingerprintOf(chat(...contents), undefined);
    const next = fingerprintOf(chat(...contents, 'an answer', 'the next question'), undefined);
    expect(asked.ends.length).toBeLessThanOrEqual(12);
    expect(sharedCharacters(asked, next)).toBe(lengthOf(asked));
  });
});

describe('the fingerprint of a text', () => {
  it('shares whole blocks', () => {
    const beginning = 'x'.repeat(1000);
    expect(shared(text(`${beginning} one`), text(`${beginning} other`))).toBe(768);
    expect(shared(text(beginning), text(beginning))).toBe(1000);
    expect(shared(text('short'), text('short'))).toBe(5);
    expect(shared(text('short'), text('short and longer'))).toBe(0);
  });

  it('is short for a megabyte, and then tells within a fifth how much is shared', () => {
    const beginning = 'abcdefgh'.repeat(100_000);
    const one = fingerprintOf(text(`${beginning}one${'y'.repeat(200_000)}`), undefined);
    const other = fingerprintOf(text(`${beginning}other`), undefined);
    expect(one.ends.length).toBeLessThan(50);
    expect(sharedCharacters(one, other)).toBeGreaterThan(0.8 * 800_000);
  });
});

it('prompts of different scopes share nothing', () => {
  const input = chat('the same', 'for both', 'of them');
  const [one, again, other, none] = ['one', 'one', 'other', undefined].map((scope) =>
    fingerprintOf(input, scope),
  );
  if (!one || !again || !other || !none) throw new Error('a fingerprint is missing');
  expect(sharedCharacters(one, again)).toBe(lengthOf(one));
  expect(sharedCharacters(one, other)).toBe(0);
  expect(sharedCharacters(one, none)).toBe(0);
});

it('never tells more than is shared, and of conversations all messages that are', () => {
  const message: fc.Arbitrary<Message> = fc.record({
    role: fc.constantFrom<Role>('user', 'assistant'),
    content: fc.constantFrom('', 'a', 'aa', 'ab', 'b'),
  });
  const messages = fc.array(message, { maxLength: 10 });
  fc.assert(
    fc.property(messages, messages, messages, (beginning, one, other) => {
      const [left, right] = [
        [...beginning, ...one],
        [...beginning, ...other],
      ];
      let truth = 0;
      for (const [index, { role, content }] of left.entries()) {
        if (right[index]?.role !== role || right[index]?.content !== content) break;
        truth += content.length + 16;
      }
      // Of more than a dozen messages the earlier ends are not kept.
      fc.pre(left.length <= 12 && right.length <= 12);
      expect(shared({ kind: 'chat', messages: left }, { kind: 'chat', messages: right })).toBe(truth);
    }),
    runs(500),
  );
});
