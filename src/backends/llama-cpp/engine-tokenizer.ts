/**
 * The vocabulary of the engine's model behind the port. Invariant: a question settles once, at an abort at once: the
 * engine answers it between two steps, and nothing of it is held meanwhile.
 */
import type { Tokenizer } from '../../core/backend.ts';
import type { RunningOrder } from './generation-stream.ts';
import type { EngineAnswer, Question } from './messages.ts';
import { refusePromptBeyondEngine } from './supported-features.ts';

/** Where the engine's side reports to. */
export interface AnswerSink {
  answered(answer: EngineAnswer): void;
  /** There is none. */
  failed(error: Error): void;
  /** It was aborted before the engine had it. */
  freed(): void;
}

export type AskEngine = (question: Question, sink: AnswerSink) => RunningOrder;

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
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void) => {
      signal.removeEventListener('abort', abort);
      outcome();
    };
    const abort = () => {
      settle(() => reject(signal.reason));
      running.abort();
    };
    signal.addEventListener('abort', abort);
    const running = ask(question, {
      answered: (answer) => settle(() => resolve(answer)),
      failed: (error) => settle(() => reject(error)),
      freed: () => settle(() => reject(signal.reason)),
    });
  });
}
