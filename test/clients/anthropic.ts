/** The official Anthropic SDK: what it does by itself, with its own helpers, types and error classes. */
import {
  chat,
  countTokens,
  images,
  models,
  stream,
  streamHelper,
  structured,
  thinking,
  tools,
} from './anthropic-answers.ts';
import { abort, errors, failure, retry } from './anthropic-ends.ts';
import type { Client } from './client-suite.ts';

export const anthropic: Client = {
  id: 'anthropic',
  features: {
    chat,
    stream,
    'stream-helper': streamHelper,
    tools,
    structured,
    images,
    thinking,
    'count-tokens': countTokens,
    models,
    abort,
    errors,
    failure,
    retry,
  },
};
