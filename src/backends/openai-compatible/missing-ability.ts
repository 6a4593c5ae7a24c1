/** The words in which servers say that a model, or the way they were started, cannot do what a field asks. One entry each. Pure. */
import type { ServingError } from '../../core/errors.ts';
import { FEATURES, type Feature, unsupported } from '../../core/features.ts';
import type { GenerationRequest } from '../../core/generation.ts';

interface MissingAbility {
  readonly words: RegExp;
  readonly feature: Feature;
  readonly who: string;
  readonly advice: string;
}

const MISSING_ABILITIES: readonly MissingAbility[] = [
  {
    words: /tool choice requires|--enable-auto-tool-choice|--tool-call-parser/i,
    feature: 'tools',
    who: 'this model’s server as it was started',
    advice:
      'Its operator has to start it with --enable-auto-tool-choice and --tool-call-parser. Leave it away, or use another model.',
  },
  {
    words: /requires --jinja/i,
    feature: 'tools',
    who: 'this model’s server as it was started',
    advice: 'Its operator has to start it with --jinja. Leave it away, or use another model.',
  },
  {
    words:
      /image input is not supported|is not a multimodal model|at most 0 image|does not support image|image_url.*(?:not supported|unsupported)/i,
    feature: 'images',
    who: 'this model',
    advice: 'Send text alone, or use another model.',
  },
];

/** The status is not asked: one of these servers says it with a 500. */
export function missingAbility(words: string, request: GenerationRequest): ServingError | undefined {
  for (const missing of MISSING_ABILITIES) {
    const field = FEATURES[missing.feature].askedBy(request);
    if (field !== undefined && missing.words.test(words))
      return unsupported(field, missing.who, { advice: missing.advice });
  }
  return undefined;
}
