/** Where /api/chat and /api/generate differ in what they answer: what stands around the text, and the order of keys. */
import type { RenderedCall } from './render-tool-calls.ts';

export interface AnswerForm {
  /** Of a line: what stands between its head and its text, and between that (with its thoughts and calls) and `done`. */
  readonly opens: string;
  readonly closes: string;
  content(parts: AnswerParts): object;
  /** `done_reason`, the metrics and the log-probabilities, in the order of this route. */
  end(reason: object, metrics: object, logprobs: object): object;
}

export interface AnswerParts {
  readonly text: string;
  readonly thinking?: string;
  readonly calls?: readonly RenderedCall[];
}

export const CHAT_FORM: AnswerForm = {
  opens: '"message":{"role":"assistant","content":',
  closes: '}',
  content: ({ text, thinking = '', calls = [] }) => ({
    message: {
      role: 'assistant',
      content: text,
      ...(thinking !== '' && { thinking }),
      ...(calls.length > 0 && { tool_calls: calls }),
    },
  }),
  end: (reason, metrics, logprobs) => Object.assign({}, reason, logprobs, metrics),
};

/** It has no tools, so no calls. `context`, the tokens of the conversation, is not given: no later request could use it here. */
export const GENERATE_FORM: AnswerForm = {
  opens: '"response":',
  closes: '',
  content: ({ text, thinking = '' }) => ({ response: text, ...(thinking !== '' && { thinking }) }),
  end: (reason, metrics, logprobs) => Object.assign({}, reason, metrics, logprobs),
};
