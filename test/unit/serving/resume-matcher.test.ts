import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GenerationEvent, TokenLogprob } from '../../../src/core/generation.ts';
import { ResumeMatcher, Transcript } from '../../../src/serving/resume-matcher.ts';
import { runs } from '../../support/property-runs.ts';

/** A token of an answer: what it adds, and how its log-probability is told from all others. */
type Token =
  | { readonly kind: 'text'; readonly text: string; readonly logprob: TokenLogprob }
  | { readonly kind: 'reasoning'; readonly text: string }
  | { readonly kind: 'call'; readonly index: number; readonly name: string }
  | { readonly kind: 'arguments'; readonly index: number; readonly text: string };

const FINISH: GenerationEvent = {
  type: 'finish',
  reason: 'stop',
  usage: { promptTokens: 1, completionTokens: 9, cachedTokens: 0 },
};

function transcriptOf(events: readonly GenerationEvent[]): Transcript {
  const transcript = new Transcript();
  for (const event of events) transcript.add(event);
  return transcript;
}

interface Resumed {
  readonly passed: readonly GenerationEvent[];
  readonly differs: boolean;
  readonly isDone: boolean;
}

function resume(sent: readonly GenerationEvent[], regenerated: readonly GenerationEvent[]): Resumed {
  const matcher = new ResumeMatcher(transcriptOf(sent));
  const passed: GenerationEvent[] = [];
  for (const event of regenerated) {
    const match = matcher.match(event);
    if (match === 'differs') return { passed, differs: true, isDone: matcher.isDone };
    if (match !== 'swallowed') passed.push(match);
  }
  return { passed, differs: false, isDone: matcher.isDone };
}

const text = (value: string): GenerationEvent => ({ type: 'text', text: value });
const reasoning = (value: string): GenerationEvent => ({ type: 'reasoning', text: value });
const call = (index: number, name: string, id = 'x'): GenerationEvent => ({
  type: 'tool-call',
  index,
  id,
  name,
});
const args = (index: number, delta: string): GenerationEvent => ({ type: 'tool-arguments', index, delta });
const START: GenerationEvent = { type: 'start', promptTokens: 3 };

describe('a regenerated answer is compared with what was sent', () => {
  it('what equals it is swallowed, and what follows is passed on, wherever the pieces end', () => {
    const { passed, differs, isDone } = resume(
      [START, text('Hel'), text('lo')],
      [START, text('H'), text('ello, '), text('world'), FINISH],
    );
    expect(passed).toEqual([text(', '), text('world'), FINISH]);
    expect({ differs, isDone }).toEqual({ differs: false, isDone: true });
  });

  it('where nothing but the end is missing, the end alone is passed on', () => {
    expect(resume([text('done')], [START, text('do'), text('ne'), FINISH]).passed).toEqual([FINISH]);
  });

  it('the first other character is a difference, and nothing is passed on', () => {
    expect(resume([text('one two')], [text('one '), text('too'), text('!')])).toMatchObject({
      passed: [],
      differs: true,
    });
  });

  it('the second half of a character that differs is a difference', () => {
    expect(resume([text('a😀')], [text('a😁'), FINISH])).toMatchObject({ passed: [], differs: true });
  });

  it('an end before all that was sent has come again is a difference', () => {
    expect(resume([text('one two')], [text('one'), FINISH])).toMatchObject({ passed: [], differs: true });
  });

  it('text where reasoning was sent is a difference, and the other way round', () => {
    expect(resume([reasoning('hm')], [text('hm')]).differs).toBe(true);
    expect(resume([reasoning('hm'), text('yes')], [reasoning('hmm'), text('yes')]).differs).toBe(true);
    expect(resume([reasoning('hm'), text('yes')], [reasoning('h'), text('yes')]).differs).toBe(true);
  });

  it('a call keeps the id that was sent, and its arguments go on at its index', () => {
    const sent = [text('ok'), call(0, 'add', 'sent-0'), args(0, '{"a"')];
    const again = [
      text('ok'),
      call(0, 'add', 'other'),
      args(0, '{'),
      args(0, '"a":1'),
      args(0, '}'),
      call(1, 'sub', 'b'),
      args(1, '{}'),
      FINISH,
    ];
    expect(resume(sent, again).passed).toEqual([
      args(0, ':1'),
      args(0, '}'),
      call(1, 'sub', 'b'),
      args(1, '{}'),
      FINISH,
    ]);
  });

  it('another tool, other arguments or a further call are differences', () => {
    const sent = [call(0, 'add'), args(0, '{"a":1}')];
    expect(resume(sent, [call(0, 'sub')]).differs).toBe(true);
    expect(resume(sent, [call(0, 'add'), args(0, '{"a":2}')]).differs).toBe(true);
    expect(resume(sent, [call(0, 'add'), args(0, '{"a"'), call(1, 'sub')]).differs).toBe(true);
  });

  it('empty pieces count as none', () => {
    expect(
      resume([call(0, 'f'), args(0, ''), text('x')], [call(0, 'f'), text('x'), text('y')]).passed,
    ).toEqual([text('y')]);
  });

  const logprob = (bytes: number[], value = -1): TokenLogprob => ({ bytes, logprob: value, top: [] });

  it('each log-probability is sent once, also where the pieces of the text end elsewhere', () => {
    const [a, b, c] = [logprob([97]), logprob([98]), logprob([99])];
    const sent: GenerationEvent[] = [{ type: 'text', text: 'a', logprobs: [a] }];
    expect(resume(sent, [{ type: 'text', text: 'abc', logprobs: [a, b, c] }]).passed).toEqual([
      { type: 'text', text: 'bc', logprobs: [b, c] },
    ]);
  });

  it('log-probabilities that came without their text go out with the next text', () => {
    const [a, b, c] = [logprob([97]), logprob([0xc3]), logprob([0xa4])];
    const sent: GenerationEvent[] = [{ type: 'text', text: 'a', logprobs: [a] }];
    const again: GenerationEvent[] = [
      { type: 'text', text: 'a', logprobs: [a, b] },
      { type: 'text', text: 'ä', logprobs: [c] },
    ];
    expect(resume(sent, again).passed).toEqual([{ type: 'text', text: 'ä', logprobs: [b, c] }]);
  });

  it('the same text from other tokens is a difference where log-probabilities were sent', () => {
    const sent: GenerationEvent[] = [
      { type: 'text', text: 'abc', logprobs: [logprob([97, 98]), logprob([99])] },
    ];
    const again: GenerationEvent[] = [
      { type: 'text', text: 'abc', logprobs: [logprob([97]), logprob([98]), logprob([99])] },
    ];
    expect(resume(sent, again).differs).toBe(true);
  });

  it('an answer that lacks log-probabilities that were sent ends with a difference', () => {
    const sent: GenerationEvent[] = [{ type: 'text', text: 'a', logprobs: [logprob([97])] }];
    expect(resume(sent, [text('a'), FINISH]).differs).toBe(true);
  });
});

describe('the transcript of an answer', () => {
  it('is dropped when the answer becomes too long to be kept', () => {
    const transcript = new Transcript(8);
    transcript.add(text('12345678'));
    expect(transcript.isWhole).toBe(true);
    transcript.add(text('9'));
    transcript.add(text('10'));
    expect(transcript).toMatchObject({ isWhole: false, parts: [], textAlone: undefined, isEmpty: false });
  });

  it('gives its text where it has nothing else', () => {
    const long = 'word '.repeat(1000);
    const pieces = [...long.matchAll(/.{1,7}/g)].map(([piece]) => text(piece));
    expect(transcriptOf(pieces).textAlone).toBe(long);
    expect(transcriptOf([text('a'), reasoning('b')]).textAlone).toBeUndefined();
    expect(transcriptOf([]).textAlone).toBe('');
  });

  it('is empty as long as nothing of the answer was sent', () => {
    expect(transcriptOf([START]).isEmpty).toBe(true);
    expect(transcriptOf([START, reasoning('x')]).isEmpty).toBe(false);
  });
});

const CHARACTERS = ['a', 'b', ' ', '\n', '"', 'ä', 'の', '😀', '😁', '👍🏽', 'é', '\u200d', '\0'] as const;

/** Few characters, so that two answers often begin alike. */
const words = fc
  .array(fc.constantFrom(...CHARACTERS), { minLength: 1, maxLength: 6 })
  .map((all) => all.join(''));

/** Parts in any order; a call's arguments follow it, and may stand after other parts. */
const answers: fc.Arbitrary<readonly Token[]> = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.record({ kind: fc.constant('text' as const), text: words }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('reasoning' as const), text: words }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('call' as const), text: words }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('arguments' as const), text: words }) },
    ),
    { maxLength: 30 },
  )
  .map((drawn) => {
    let calls = 0;
    return drawn.flatMap(({ kind, text }, at): Token[] => {
      const bytes = [...new TextEncoder().encode(text)];
      if (kind === 'text') return [{ kind, text, logprob: { bytes, logprob: -at, top: [] } }];
      if (kind === 'reasoning') return [{ kind, text }];
      if (kind === 'call') {
        calls += 1;
        return [{ kind, index: calls - 1, name: text }];
      }
      return calls === 0 ? [] : [{ kind, index: calls - 1, text }];
    });
  });

/** The events of an answer. `joins`: whether a token shares a piece with the one before it. */
function eventsOf(
  tokens: readonly Token[],
  joins: readonly boolean[],
  withLogprobs: boolean,
): GenerationEvent[] {
  const events: GenerationEvent[] = [];
  tokens.forEach((token, at) => {
    const last = joins[at % joins.length] ? events.at(-1) : undefined;
    if (token.kind === 'call') {
      events.push({
        type: 'tool-call',
        index: token.index,
        id: `id-${joins.length}-${at}`,
        name: token.name,
      });
    } else if (token.kind === 'arguments') {
      const joined = last?.type === 'tool-arguments' && last.index === token.index;
      if (joined) events.pop();
      events.push({
        type: 'tool-arguments',
        index: token.index,
        delta: (joined ? last.delta : '') + token.text,
      });
    } else if (token.kind === 'reasoning') {
      if (last?.type === 'reasoning') events.pop();
      events.push({ type: 'reasoning', text: (last?.type === 'reasoning' ? last.text : '') + token.text });
    } else {
      const before = last?.type === 'text' ? last : undefined;
      if (before !== undefined) events.pop();
      const joined = (before?.text ?? '') + token.text;
      const logprobs = [...(before?.logprobs ?? []), token.logprob];
      events.push(withLogprobs ? { type: 'text', text: joined, logprobs } : { type: 'text', text: joined });
    }
  });
  return [START, ...events, FINISH];
}

/** Each code unit, name and log-probability of an answer, with the place where it belongs. */
function contentOf(events: readonly GenerationEvent[]): string[] {
  return events.flatMap((event) => {
    switch (event.type) {
      case 'text':
        return [...event.text.split('').map((unit) => `text ${unit}`)];
      case 'reasoning':
        return event.text.split('').map((unit) => `reasoning ${unit}`);
      case 'tool-call':
        return [`call ${event.index} ${event.name}`];
      case 'tool-arguments':
        return event.delta.split('').map((unit) => `arguments ${event.index} ${unit}`);
      default:
        return [];
    }
  });
}

function logprobsOf(events: readonly GenerationEvent[]): readonly TokenLogprob[] {
  return events.flatMap((event) => (event.type === 'text' ? (event.logprobs ?? []) : []));
}

const chunkings = fc.array(fc.boolean(), { minLength: 1, maxLength: 7 });

/** What the client has before `finish`, cut after any event. */
function cutAt(events: readonly GenerationEvent[], at: number): GenerationEvent[] {
  return events.slice(0, 1 + (at % (events.length - 1)));
}

describe('over all answers, pieces, cuts and differences', () => {
  it('an equal answer is completed: each character and each log-probability once, in order', () => {
    fc.assert(
      fc.property(
        answers,
        fc.array(fc.tuple(chunkings, fc.nat()), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        (tokens, cuts, withLogprobs) => {
          const got: GenerationEvent[] = [];
          const transcript = new Transcript();
          for (const [joins, at] of cuts) {
            const matcher = new ResumeMatcher(transcript);
            for (const event of cutAt(eventsOf(tokens, joins, withLogprobs), at)) {
              const match = matcher.match(event);
              expect(match).not.toBe('differs');
              if (typeof match === 'string') continue;
              transcript.add(match);
              got.push(match);
            }
          }
          const whole = eventsOf(tokens, [false], withLogprobs);
          const last = resume(got, whole);
          expect(last.differs).toBe(false);
          expect(last.isDone).toBe(true);
          const all = [...got, ...last.passed];
          expect(contentOf(all)).toEqual(contentOf(whole));
          expect(logprobsOf(all)).toEqual(logprobsOf(whole));
          expect(all.at(-1)).toBe(FINISH);
        },
      ),
      runs(4000),
    );
  });

  it('another answer is a difference exactly where it does not begin with what was sent; then nothing was passed on', () => {
    fc.assert(
      fc.property(
        answers,
        answers,
        fc.nat(),
        chunkings,
        chunkings,
        fc.nat(),
        (one, other, shared, joins, again, at) => {
          const second = [...one.slice(0, shared % (one.length + 1)), ...other];
          const sent = cutAt(eventsOf(one, joins, false), at);
          const regenerated = eventsOf(renumbered(second), again, false);
          const [had, came] = [contentOf(sent), contentOf(regenerated)];
          const isEqual = had.every((item, place) => item === came[place]);
          const { passed, differs } = resume(sent, regenerated);
          expect(differs).toBe(!isEqual);
          if (differs) expect(passed).toEqual([]);
          else expect([...had, ...contentOf(passed)]).toEqual(came);
        },
      ),
      runs(8000),
    );
  });

  it('pieces that end within a character are compared unit by unit', () => {
    fc.assert(
      fc.property(words, fc.nat(), fc.nat(), (answer, cut, piece) => {
        const sent = answer.slice(0, cut % (answer.length + 1));
        const border = piece % (answer.length + 1);
        const again = [text(answer.slice(0, border)), text(answer.slice(border))];
        const { passed, differs } = resume([text(sent)], again);
        expect(differs).toBe(false);
        const rest = passed.map((event) => (event.type === 'text' ? event.text : '')).join('');
        expect(sent + rest).toBe(answer);
      }),
      runs(2000),
    );
  });
});

/** Two answers put together have their calls numbered anew. */
function renumbered(tokens: readonly Token[]): readonly Token[] {
  let calls = 0;
  return tokens.flatMap((token): Token[] => {
    if (token.kind === 'call') {
      calls += 1;
      return [{ ...token, index: calls - 1 }];
    }
    if (token.kind !== 'arguments') return [token];
    return calls === 0 ? [] : [{ ...token, index: calls - 1 }];
  });
}
