import { expect, it } from 'vitest';
import { AnswerPrinter, styleFor } from '../../../src/cli/answer-printer.ts';

const PLAIN = styleFor({ isTTY: false });
const RICH = {
  dim: (text: string) => `<dim>${text}</dim>`,
  bold: (text: string) => `<b>${text}</b>`,
  isRich: true,
};

function printer(options: Partial<ConstructorParameters<typeof AnswerPrinter>[0]> = {}) {
  let written = '';
  const write = (text: string) => {
    written += text;
  };
  const made = new AnswerPrinter({ write, isTerminal: true, style: PLAIN, hidesThinking: false, ...options });
  return { made, written: () => written };
}

it('shows the control characters of an answer on a terminal, and keeps its lines', () => {
  const { made, written } = printer();
  made.text('\u001b]0;title\u0007\u001b[2J \u009b31m');
  made.text(' \u202Eevil\n\tx\r\ny \u0008\u007f');
  made.end();
  expect(written()).toBe('\\u001b]0;title\\u0007\\u001b[2J \\u009b31m \\u202eevil\n\tx\ny \\u0008\\u007f\n');
});

it('shows those of thoughts too', () => {
  const { made, written } = printer();
  made.reasoning('\u001b[2J');
  expect(written()).toBe('Thinking:\n\\u001b[2J');
});

it('writes exactly the answer where there is no terminal, with a line end, and without thoughts', () => {
  const { made, written } = printer({ isTerminal: false });
  made.reasoning('hm');
  made.text('\u001b[31mred');
  made.end();
  made.end();
  expect(written()).toBe('\u001b[31mred\n');
});

it('adds no line end to an answer that has one, and nothing where there was no answer', () => {
  const ended = printer({ isTerminal: false });
  ended.made.text('one\n');
  ended.made.end();
  expect(ended.written()).toBe('one\n');
  const silent = printer();
  silent.made.end();
  expect(silent.written()).toBe('');
});

it('separates dim thoughts from the answer', () => {
  const { made, written } = printer({ style: RICH });
  made.reasoning('so');
  made.reasoning(' then');
  made.text('yes');
  made.end();
  expect(written()).toBe('<dim>Thinking:\n</dim><dim>so</dim><dim> then</dim>\n\nyes\n');
  expect(made.answer).toBe('yes');
});

it('tells in words where thoughts end, without styles', () => {
  const { made, written } = printer();
  made.reasoning('so');
  made.text('yes');
  expect(written()).toBe('Thinking:\nso\n\nAnswer:\nyes');
});

it('folds thoughts that are not to be shown', () => {
  const { made, written } = printer({ hidesThinking: true, style: RICH });
  made.reasoning('so');
  made.reasoning('then');
  made.text('yes');
  expect(written()).toBe('<dim>Thinking …</dim>\n\nyes');
});
