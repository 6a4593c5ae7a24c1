/** Every protocol there is: one line each. The only place, beside its own folder, that names one. */
import { anthropicModels } from './anthropic/model-list.ts';
import { anthropic } from './anthropic/protocol.ts';
import { native } from './native/protocol.ts';
import { ollama } from './ollama/protocol.ts';
import { openAi } from './openai/protocol.ts';
import type { Protocol } from './protocol.ts';

/** The first is the default: it answers where no other's paths begin. */
export const PROTOCOLS: readonly Protocol[] = [native, openAi([anthropicModels]), anthropic, ollama];

/** The shape of errors where no path was understood. */
export { ErrorAnswer, nativeErrors as defaultErrors } from './native/render.ts';
