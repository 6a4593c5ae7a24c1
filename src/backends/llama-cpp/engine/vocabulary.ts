/** Answers questions about the model’s vocabulary: each at once, from between two steps. Pure, but for the model. */
import type { TokenizeRequest } from '../../../core/backend.ts';
import type { EngineEvent, EngineQuestion, EngineReport } from '../messages.ts';
import { requireKnownTokens } from './known-tokens.ts';
import type { Model, Token } from './library.ts';
import { refusalOf } from './refusal.ts';

/** The answer, or why there is none, is emitted before it returns. */
export type AskVocabulary = (question: EngineQuestion) => void;

export interface VocabularyOptions {
  readonly model: Pick<Model, 'detokenize'>;
  readonly vocabularySize: number;
  /** The tokens of a prompt; throws where it cannot be read. */
  readonly encode: (request: TokenizeRequest) => readonly Token[];
  readonly emit: (events: readonly EngineEvent[]) => void;
  /** The engine gets on, also where nothing but questions keeps it busy. */
  readonly onStep: () => void;
}

export function createVocabulary(options: VocabularyOptions): AskVocabulary {
  return (question) => {
    options.emit([{ id: question.id, event: answerTo(question, options) }]);
    options.onStep();
  };
}

function answerTo(
  question: EngineQuestion,
  { model, vocabularySize, encode }: VocabularyOptions,
): EngineReport {
  try {
    switch (question.type) {
      case 'tokenize':
        return { type: 'tokenized', tokens: encode(question) };
      case 'detokenize':
        requireKnownTokens(question.tokens, vocabularySize, 'tokens');
        return { type: 'detokenized', text: model.detokenize(question.tokens, true) };
      default:
        return question satisfies never;
    }
  } catch (thrown) {
    return refusalOf(thrown, 'read it');
  }
}
