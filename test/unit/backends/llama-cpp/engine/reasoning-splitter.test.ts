import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReasoningSplitter } from '../../../../../src/backends/llama-cpp/engine/reasoning-splitter.ts';

function run(pieces: readonly string[], begun = false) {
  const splitter = new ReasoningSplitter({ begun });
  const parts = [...pieces.map((piece) => splitter.push(piece)), splitter.flush()];
  return {
    parts,
    reasoning: parts.map(({ reasoning }) => reasoning).join(''),
    text: parts.map(({ text }) => text).join(''),
  };
}

describe('ReasoningSplitter', () => {
  it('separates the reasoning at the beginning from the answer, without tags and the newlines after them', () => {
    expect(run(['<think>\nHm, well.</think>\n\nHello.\n'])).toMatchObject({
      reasoning: 'Hm, well.',
      text: 'Hello.\n',
    });
  });

  it('begins within the reasoning if the prompt opened it', () => {
    expect(run(['\nHm.</think>\n\nHello.'], true)).toMatchObject({ reasoning: 'Hm.', text: 'Hello.' });
  });

  it('returns an answer without reasoning as it is', () => {
    expect(run(['\n\nHello <think>you</think>'])).toMatchObject({
      reasoning: '',
      text: '\n\nHello <think>you</think>',
    });
  });

  it('returns nothing for empty reasoning', () => {
    expect(run(['<think>\n\n</think>\n\nHello.'])).toMatchObject({ reasoning: '', text: 'Hello.' });
  });

  it('takes reasoning that never ends as reasoning', () => {
    expect(run(['<think>Hm </thi'])).toMatchObject({ reasoning: 'Hm </thi', text: '' });
  });

  it('holds back only what can still be the beginning of a tag', () => {
    const { parts } = run(['<th', 'ink>', '\n', 'a <', 'b </th', 'ink>', '\n', '\nc', ' <think>']);
    expect(parts).toEqual([
      { reasoning: '', text: '' },
      { reasoning: '', text: '' },
      { reasoning: '', text: '' },
      { reasoning: 'a ', text: '' },
      { reasoning: '<b ', text: '' },
      { reasoning: '', text: '' },
      { reasoning: '', text: '' },
      { reasoning: '', text: 'c' },
      { reasoning: '', text: ' <think>' },
      { reasoning: '', text: '' },
    ]);
    expect(run(['<', 'b']).parts[1]).toEqual({ reasoning: '', text: '<b' });
    expect(run(['<th']).text).toBe('<th');
  });

  it('splits alike however the text is cut into pieces', () => {
    const unit = fc.constantFrom('a', '\n', '<', '<think>', '</think>', '</thi', ' ');
    const texts = fc.array(unit, { maxLength: 12 }).map((units) => units.join(''));
    fc.assert(
      fc.property(texts, fc.boolean(), fc.nat({ max: 60 }), (text, begun, cut) => {
        const { reasoning, text: answer } = run([text], begun);
        for (const pieces of [[...text], [text.slice(0, cut), text.slice(cut)]])
          expect(run(pieces, begun)).toMatchObject({ reasoning, text: answer });
      }),
    );
  });
});
