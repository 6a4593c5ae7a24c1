/** What the scripted backend says when it fails: because its script has no thoughts, or because its script says so. */
import { ServingError } from '../../core/errors.ts';

export function cannotThink(): ServingError {
  return new ServingError('unsupported_parameter', {
    message: 'think is set, but this model cannot think. Leave it away.',
    param: 'think',
  });
}

export function scriptedFailure(): ServingError {
  return new ServingError('backend_error', { message: 'The scripted backend failed, as its script says.' });
}
