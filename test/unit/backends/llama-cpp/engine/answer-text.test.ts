import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AnswerReader } from '../../../../../src/backends/llama-cpp/engine/answer-text.ts';
import type { ReasoningStart } from '../../../../../src/backends/llama-cpp/engine/prompt.ts';
import type { AnswerPart } from '../../../../../src/backends/llama-cpp/engine/tools/tool-call-splitter.ts';
import { hermes, mistralNamed } from '../../../../../src/backends/llama-cpp/engine/tools/tool-format.ts';

interface Setting {
  readonly thought?: ReasoningStart;
  readonly stop?: readonly string[];
  readonly tools?: boolean;
  readonly singleCall?: boolean;
  readonly callsOrText?: boolean;
}

const CALL = '<tool_call>\n{"name": "add", "arguments": {"a": "END"}}\n</tool_call>';

/** Text as it is, a call in brackets. */
function write(part: AnswerPart): string {
  switch (part.type) {
    case 'text':
      return part.text;
    case 'call':
      return `[${part.name} `;
    case 'arguments':
      return part.delta;
    case 'complete':
      return ']';
  }
}

function read(pieces: readonly string[], setting: Setting = {}) {
  const { thought = 'none', stop = [], tools = true, singleCall = false, callsOrText = false } = setting;
  const reader = new AnswerReader({
    thought,
    stop,
    toolNames: ['add'],
    singleCall,
    callsOrText,
    ...(tools && { toolFormat: hermes }),
  });
  const said: string[] = [];
  let reasoning = '';
  let matchedStop: string | undefined;
  for (const [index, piece] of [...pieces, ''].entries()) {
    const reading = reader.read(piece, { last: index === pieces.length });
    reasoning += reading.reasoning;
    for (const part of reading.parts) said.push(write(part));
    matchedStop = reading.matchedStop;
    if (reading.ended) break;
  }
  return {
    said: said.join(''),
    reasoning,
    matchedStop,
    reasons: [reader.finishReason('stop'), reader.finishReason('length')],
  };
}

describe('AnswerReader', () => {
  it.each([[1], [3], [1000]])(
    'tells calls or text by the beginning, where an answer is one of them (in pieces of %i)',
    (size) => {
      const pieces = (text: string) => text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
      const setting = { callsOrText: true } as const;
      const quoting = JSON.stringify({ quoted: CALL });
      expect(read(pieces(quoting), setting)).toMatchObject({ said: quoting, reasons: ['stop', 'length'] });
      expect(read(pieces(CALL), setting)).toMatchObject({
        said: '[add {"a": "END"}]',
        reasons: ['tool_calls', 'tool_calls'],
      });
      expect(read(pieces(`${CALL}\n${CALL}`), setting).said).toBe('[add {"a": "END"}][add {"a": "END"}]');
      expect(read(pieces(`  <to ${CALL}`), setting).said).toBe(`  <to ${CALL}`);
    },
  );

  it('gives thought, text and calls apart', () => {
    expect(read([`<think>Hm ${CALL}</think>\n\nWell.\n${CALL}`], { thought: 'possible' })).toMatchObject({
      reasoning: `Hm ${CALL}`,
      said: 'Well.[add {"a": "END"}]',
      reasons: ['tool_calls', 'tool_calls'],
    });
  });

  it('takes calls for text where there are no tools', () => {
    expect(read([CALL], { tools: false })).toMatchObject({ said: CALL, reasons: ['stop', 'length'] });
  });

  it('ends at stop strings in the text, never in a call', () => {
    expect(read([`One EN${CALL}D two END three`], { stop: ['END'] })).toMatchObject({
      said: 'One EN[add {"a": "END"}]D two ',
      matchedStop: 'END',
      reasons: ['tool_calls', 'tool_calls'],
    });
    expect(read([`END${CALL}`], { stop: ['END'] })).toMatchObject({ said: '', reasons: ['stop', 'length'] });
  });

  it('says that it waits for tools only when no call was cut off', () => {
    const cut = CALL.slice(0, CALL.indexOf('END'));
    expect(read([CALL, cut])).toMatchObject({ reasons: ['stop', 'length'] });
    expect(read([cut])).toMatchObject({ said: '[add {"a": "', reasons: ['stop', 'length'] });
    expect(read(['<tool_call>oops'])).toMatchObject({
      said: '<tool_call>oops',
      reasons: ['stop', 'length'],
    });
  });

  it('ends with its first complete call where it may have one', () => {
    const setting = { singleCall: true, stop: ['END'] };
    expect(read([`Well. ${CALL}${CALL} END`], setting)).toMatchObject({
      said: 'Well.[add {"a": "END"}]',
      matchedStop: undefined,
      reasons: ['tool_calls', 'tool_calls'],
    });
    expect(read(['Well. END'], setting)).toMatchObject({ said: 'Well. ', matchedStop: 'END' });
    expect(read([CALL.slice(0, -20)], setting)).toMatchObject({ reasons: ['stop', 'length'] });
  });

  it('reads alike however the answer is cut into pieces', () => {
    const unit = fc.constantFrom(
      'a',
      ' ',
      'EN',
      'D',
      'END',
      '<think>',
      '</think>',
      '<tool_call>',
      CALL,
      '\n',
    );
    fc.assert(
      fc.property(
        fc.array(unit, { maxLength: 8 }),
        fc.constantFrom<ReasoningStart>('none', 'possible', 'begun'),
        fc.boolean(),
        fc.boolean(),
        (units, thought, tools, singleCall) => {
          const text = units.join('');
          const setting = { thought, tools, singleCall, stop: ['END'] };
          const whole = read([text], setting);
          expect(read([...text], setting)).toEqual(whole);
          expect(read(units, setting)).toEqual(whole);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('knows the marks that a model may have as special tokens', () => {
    const options = { stop: [], toolNames: ['add'], singleCall: false };
    const none = new AnswerReader({ ...options, thought: 'none' });
    const all = new AnswerReader({ ...options, thought: 'possible', toolFormat: mistralNamed });
    for (const mark of ['<think>', '</think>', '[TOOL_CALLS]', '[ARGS]', '[CALL_ID]']) {
      expect(none.isMark(mark)).toBe(false);
      expect(all.isMark(mark)).toBe(true);
    }
    all.read('Hi', { last: false });
    expect(all.isMark('<think>')).toBe(false);
    expect(all.isMark('[ARGS]')).toBe(true);
    expect(all.isMark('<s>')).toBe(false);
  });
});
