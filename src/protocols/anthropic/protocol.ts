/** The Anthropic API: POST /v1/messages and what belongs to it. Null counts as absent, fields that nobody knows are no error. */
import type { Protocol } from '../protocol.ts';
import { countTokensRoute } from './count-tokens.ts';
import { anthropicErrors } from './errors.ts';
import { messagesRoute } from './messages.ts';

export const anthropic: Protocol = {
  name: 'anthropic',
  routes: [messagesRoute, countTokensRoute],
  pathPrefixes: ['/v1/messages'],
  bodyLimit: 'media',
  contentTypes: 'json',
  errors: anthropicErrors,
  requestIdHeader: 'request-id',
};
