/** An answer is ended before its grammar can stop the engine, and never for what others take. */
import { describe, expect, it } from 'vitest';
import { GrammarWatch } from '../../../../../src/backends/llama-cpp/engine/grammar-watch.ts';
import { parseGbnf } from '../../../../../src/backends/llama-cpp/grammar/gbnf/parser.ts';
import { packGrammar } from '../../../../../src/backends/llama-cpp/grammar/gbnf/stack-machine.ts';
import { cpuMs } from '../../../../support/cpu-time.ts';

/** Tokens are characters. */
const bytesOf = (token: number) => [...new TextEncoder().encode(String.fromCodePoint(token))];
const watching = (gbnf: string) => new GrammarWatch(packGrammar(parseGbnf(gbnf)), bytesOf);
const QUICK = { choiceMs: 5, stepMs: 14 };
const SLOW = { choiceMs: 300, stepMs: 14 };

function write(watch: GrammarWatch, text: string, durations = QUICK): void {
  for (const character of text) {
    watch.beforeChoice();
    watch.chosen(character.codePointAt(0) as number, durations);
  }
}

/** Sixty ways for each letter. */
const EVIL = `evil ::= (${Array(60).fill('[a-z]').join(' | ')})*`;
const TEN_WORDS = `root ::= ${Array.from({ length: 10 }, (_, index) => `[a-z]+ "${index}"`).join(' | ')}`;

describe('the watch over a grammar', () => {
  it('ends an answer where the next token could be read in too many ways', () => {
    const watch = watching(`root ::= "${'0123456789'.repeat(3)}" evil\n${EVIL}`);
    write(watch, '0123456789');
    expect(() => write(watch, '0123456789')).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  it('sees it however far away it is', () => {
    const watch = watching(`root ::= ("1" | "2"){1000} evil\n${EVIL}`);
    write(watch, '1'.repeat(980));
    expect(() => write(watch, '1'.repeat(20))).toThrow(/too many ways at once/);
  });

  it('lets an answer go on that can be read in one way, however long each choice takes', () => {
    const watch = watching('root ::= "[" [a-z]* "]"');
    write(watch, `[${'a'.repeat(100)}]`, { choiceMs: 10_000, stepMs: 14 });
  });

  it('ends one of many ways whose choices take too long again and again', () => {
    const watch = watching(TEN_WORDS);
    write(watch, 'abc', SLOW);
    expect(() => write(watch, 'd', SLOW)).toThrow(/is too slow: choosing a token took 300 ms/);
  });

  it('forgives a slow choice now and then, and one beside a slow step', () => {
    const watch = watching(TEN_WORDS);
    write(watch, 'abc', SLOW);
    write(watch, 'h');
    write(watch, 'abc', SLOW);
    write(watch, 'a'.repeat(20), { choiceMs: 300, stepMs: 200 });
  });

  it('ends one at once whose choice took more than a second', () => {
    expect(() => write(watching(TEN_WORDS), 'a', { choiceMs: 1100, stepMs: 14 })).toThrow(/1100 ms/);
  });

  it('knows nothing of an answer that is not of its grammar, and leaves it alone', () => {
    const watch = watching(TEN_WORDS);
    write(watch, '!!!', { choiceMs: 1, stepMs: 1 });
    watch.beforeChoice();
  });

  it('keeps little of a long answer', () => {
    const watch = watching('root ::= "(" root ")" | [a-z]{0,1000} "!" root | "."');
    const start = cpuMs();
    write(watch, `${'('.repeat(200)}${`${'a'.repeat(900)}!`.repeat(10)}.${')'.repeat(200)}`);
    expect(cpuMs() - start).toBeLessThan(15_000);
  });
});
