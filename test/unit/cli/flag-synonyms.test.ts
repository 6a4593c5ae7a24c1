import { expect, it } from 'vitest';
import { withFlagSynonym } from '../../../src/cli/flag-synonyms.ts';

it.each([
  ["error: unknown option '--verbose'\n", "error: unknown option '--verbose'\n(Here it is --stats.)\n"],
  ["error: unknown option '--base-url'\n", "error: unknown option '--base-url'\n(Here it is --server.)\n"],
  ["error: unknown option '--other'\n", "error: unknown option '--other'\n"],
  [
    "error: unknown option '--url'\n(Did you mean --foo?)\n",
    "error: unknown option '--url'\n(Did you mean --foo?)\n",
  ],
  ["error: missing required argument 'file'\n", "error: missing required argument 'file'\n"],
])('%j is told as %j', (message, told) => {
  expect(withFlagSynonym(message)).toBe(told);
});
