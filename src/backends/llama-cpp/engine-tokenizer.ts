/**
 * The vocabulary of the engine's model behind the port. Invariant: a question settles once, at an abort at once: the
 * engine answers it between two steps, and nothing of it is held meanwhile.
 */

import { abortable } from '../../core/abortable.ts';
import type { Tokenizer } from '../../core/backend.ts';
import type { AnswerSink, RequestHandle } from './flights.ts';
import type { EngineAnswer, Question } from './messages.ts';
import { refusePromptBeyondEngine } from './supported-features.ts';

export type AskEngine = (question: Question, sink: AnswerSink) => RequestHandle;

export function engineTokenizer(ask: AskEngine): Tokenizer {
  return {
    async encode(request, { signal }) {
      refusePromptBeyondEngine(request);
      const answer = await answerTo(ask, { type: 'tokenize', ...request }, signal);
      if (answer.type !== 'tokenized') throw new Error(`the engine answered with ${answer.type}`);
      return answer.tokens;
    },
    async decode(tokens, { signal }) {
      const answer = await answerTo(ask, { type: 'detokenize', tokens }, signal);
      if (answer.type !== 'detokenized') throw new Error(`the engine answered with ${answer.type}`);
      return answer.text;
    },
  };
}

function answerTo(ask: AskEngine, question: Question, signal: AbortSignal): Promise<EngineAnswer> {
  return abortable(signal, ({ resolve, reject }) => {
    const asked = ask(question, { answered: resolve, failed: reject, freed() {} });
    return () => asked.abort();
  });
}
