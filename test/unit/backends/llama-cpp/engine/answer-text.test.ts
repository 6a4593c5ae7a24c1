/** What becomes of the tokens of an answer: reasoning, text, calls, and its end. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AnswerText } from '../../../../../src/backends/llama-cpp/engine/answer-text.ts';
import type { ReasoningStart } from '../../../../../src/backends/llama-cpp/engine/reasoning-splitter.ts';
import { hermes, mistralNamed } from '../../../../../src/backends/llama-cpp/engine/tools/tool-syntax.ts';
import type { GenerationEvent, TokenLogprob } from '../../../../../src/core/generation.ts';

interface Setting {
  readonly reasoning?: ReasoningStart;
  readonly stop?: readonly string[];
  readonly tools?: boolean;
  readonly singleCall?: boolean;
  readonly callsOrText?: boolean;
}

const CALL = '<tool_call>\n{"name": "add", "arguments": {"a": "END"}}\n</tool_call>';

/** A model with these texts as its tokens; those of `special` are special tokens. */
function modelOf(pieces: readonly string[], special: ReadonlySet<string> = new Set()) {
  return {
    detokenize: (tokens: readonly number[], specialTokens?: boolean) =>
      tokens
        .map((token) => pieces[token] ?? '')
        .map((piece) => (special.has(piece) && specialTokens !== true ? '' : piece))
        .join(''),
    getTokenAttributes: (token: number) => ({
      control: special.has(pieces[token] ?? ''),
      unknown: false,
      userDefined: false,
      lstrip: false,
      rstrip: false,
    }),
  };
}

/** Text as it is, a call in brackets. */
function write(event: GenerationEvent): string {
  switch (event.type) {
    case 'text':
      return event.text;
    case 'tool-call':
      return `[${event.name} `;
    case 'tool-arguments':
      return event.delta;
    default:
      return '';
  }
}

function read(pieces: readonly string[], setting: Setting = {}) {
  const { reasoning = 'none', stop = [], tools = true, singleCall = false, callsOrText = false } = setting;
  const answer = new AnswerText({
    model: modelOf(pieces),
    prompt: [],
    reasoning,
    stop,
    toolNames: ['add'],
    singleCall,
    callsOrText,
    ...(tools && { toolSyntax: hermes }),
  });
  const events: GenerationEvent[] = [];
  for (let token = 0; token < pieces.length && !answer.ended; token++)
    events.push(...answer.push(token, { last: false }));
  if (!answer.ended) events.push(...answer.end());
  return {
    written: events.map(write).join(''),
    reasoning: events.map((event) => (event.type === 'reasoning' ? event.text : '')).join(''),
    matchedStop: answer.matchedStop,
    reasons: [answer.finishReason('stop'), answer.finishReason('length')],
  };
}

describe('AnswerText', () => {
  it.each([[1], [3], [1000]])(
    'decides between calls and text by the beginning, if an answer is one of them (in pieces of %i)',
    (size) => {
      const pieces = (text: string) => text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
      const setting = { callsOrText: true } as const;
      const quoting = JSON.stringify({ quoted: CALL });
      expect(read(pieces(quoting), setting)).toMatchObject({ written: quoting, reasons: ['stop', 'length'] });
      expect(read(pieces(CALL), setting)).toMatchObject({
        written: '[add {"a": "END"}',
        reasons: ['tool_calls', 'tool_calls'],
      });
      expect(read(pieces(`${CALL}\n${CALL}`), setting).written).toBe('[add {"a": "END"}[add {"a": "END"}');
      expect(read(pieces(`  <to ${CALL}`), setting).written).toBe(`  <to ${CALL}`);
    },
  );

  it('separates reasoning, text and calls', () => {
    expect(read([`<think>Hm ${CALL}</think>\n\nWell.\n${CALL}`], { reasoning: 'possible' })).toMatchObject({
      reasoning: `Hm ${CALL}`,
      written: 'Well.[add {"a": "END"}',
      reasons: ['tool_calls', 'tool_calls'],
    });
  });

  it('takes calls for text if there are no tools', () => {
    expect(read([CALL], { tools: false })).toMatchObject({ written: CALL, reasons: ['stop', 'length'] });
  });

  it('ends at stop strings in the text, never in a call', () => {
    expect(read([`One EN${CALL}D two END three`], { stop: ['END'] })).toMatchObject({
      written: 'One EN[add {"a": "END"}D two ',
      matchedStop: 'END',
      reasons: ['tool_calls', 'tool_calls'],
    });
    expect(read([`END${CALL}`], { stop: ['END'] })).toMatchObject({
      written: '',
      reasons: ['stop', 'length'],
    });
  });

  it('finishes with tool_calls only if no call was cut off', () => {
    const cut = CALL.slice(0, CALL.indexOf('END'));
    expect(read([CALL, cut])).toMatchObject({ reasons: ['stop', 'length'] });
    expect(read([cut])).toMatchObject({ written: '[add {"a": "', reasons: ['stop', 'length'] });
    expect(read(['<tool_call>oops'])).toMatchObject({
      written: '<tool_call>oops',
      reasons: ['stop', 'length'],
    });
  });

  it('ends with its first complete call if it may have one', () => {
    const setting = { singleCall: true, stop: ['END'] };
    expect(read([`Well. ${CALL}${CALL} END`], setting)).toMatchObject({
      written: 'Well.[add {"a": "END"}',
      matchedStop: undefined,
      reasons: ['tool_calls', 'tool_calls'],
    });
    expect(read(['Well. END'], setting)).toMatchObject({ written: 'Well. ', matchedStop: 'END' });
    expect(read([CALL.slice(0, -20)], setting)).toMatchObject({ reasons: ['stop', 'length'] });
  });

  it('reads the same however the answer is cut into pieces', () => {
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
        (units, reasoning, tools, singleCall) => {
          const text = units.join('');
          const setting = { reasoning, tools, singleCall, stop: ['END'] };
          const whole = read([text], setting);
          expect(read([...text], setting)).toEqual(whole);
          expect(read(units, setting)).toEqual(whole);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('reads marks that are special tokens, each where it means something', () => {
    const marks = ['<think>', '</think>', '[TOOL_CALLS]', '[ARGS]', '[CALL_ID]'];
    const pieces = [...marks, '<s>', 'Hi'];
    const textOf = (tokens: readonly number[], options: Pick<Setting, 'reasoning' | 'tools'>) => {
      const answer = new AnswerText({
        model: modelOf(pieces, new Set([...marks, '<s>'])),
        prompt: [],
        reasoning: options.reasoning ?? 'none',
        stop: [],
        toolNames: ['add'],
        singleCall: false,
        callsOrText: false,
        ...(options.tools && { toolSyntax: mistralNamed }),
      });
      return [...tokens.flatMap((token) => answer.push(token, { last: false })), ...answer.end()]
        .map(write)
        .join('');
    };
    const everything = pieces.map((_, token) => token);
    expect(textOf(everything, {})).toBe('Hi');
    expect(textOf([2, 3, 4, 5], { tools: true })).toBe('[TOOL_CALLS][ARGS][CALL_ID]');
    expect(textOf([0, 6, 1, 6], { reasoning: 'possible' })).toBe('Hi');
    // Once the answer has begun, a tag of reasoning means nothing.
    expect(textOf([6, 0, 6, 3], { reasoning: 'possible', tools: true })).toBe('HiHi[ARGS]');
  });

  it('gives log-probabilities to the text of their tokens, and to no reasoning or call', () => {
    const pieces = ['<think>', 'Hm', '</think>', 'W', 'e EN', 'd', CALL, ' So'];
    const answer = new AnswerText({
      model: modelOf(pieces),
      prompt: [],
      reasoning: 'possible',
      stop: ['END'],
      toolNames: ['add'],
      toolSyntax: hermes,
      singleCall: false,
      callsOrText: false,
    });
    const logprobOf = (token: number): TokenLogprob => ({ token, bytes: [], logprob: -1, top: [] });
    const events = pieces.flatMap((_, token) =>
      answer.push(token, { logprob: logprobOf(token), last: token === pieces.length - 1 }),
    );
    const texts = events.flatMap((event) =>
      event.type === 'text' ? [[event.text, event.logprobs?.map(({ token }) => token)]] : [],
    );
    expect(texts).toEqual([
      ['W', [3]],
      ['e ', [4]],
      ['ENd', [5]],
      ['So', [7]],
    ]);
  });
});
