/** Log-probabilities: how they are asked for, and what of an answer is read into the core's. Pure. */
import { unsupported } from '../../core/features.ts';
import type { GenerationRequest, LikelyToken, TokenLogprob } from '../../core/generation.ts';
import { asArray, asCount, asObject, type Loose } from '../../upstream/lenient.ts';
import type { Dialect } from './dialect.ts';

/** For a probability of 0, as JSON has no -Infinity; servers have lower numbers, or none. */
const NEVER = -9999;

export function logprobFields(
  { logprobs, tools, input }: Pick<GenerationRequest, 'logprobs' | 'tools' | 'input'>,
  { logprobs: { withTools, fewest, onPrompts } }: Pick<Dialect, 'logprobs'>,
): Readonly<Record<string, unknown>> {
  if (logprobs === undefined) return {};
  if (tools !== undefined && !withTools)
    throw unsupported('logprobs', 'this model’s server together with tools', {
      advice: 'Leave one of the two away.',
    });
  const top = Math.max(fewest, logprobs.top);
  if (input.kind !== 'chat') return { [onPrompts]: top };
  return { logprobs: true, top_logprobs: top };
}

/** Of one choice: chats put `content` into it, and raw prompts where they are not told in the older form of four lists. */
export function readLogprobs(value: unknown, top: number): readonly TokenLogprob[] {
  const logprobs = asObject(value);
  if (Array.isArray(logprobs.content)) return logprobs.content.map((entry) => tokenLogprob(entry, top));
  const values = asArray(logprobs.token_logprobs);
  const alternatives = asArray(logprobs.top_logprobs);
  return asArray(logprobs.tokens).map((token, place) => ({
    bytes: bytesOf({ token }),
    logprob: logprobOf(values[place]),
    top: likeliest(
      Object.entries(asObject(alternatives[place])).map(([text, logprob]) =>
        likely({ token: text, logprob }),
      ),
      top,
    ),
  }));
}

function tokenLogprob(value: unknown, top: number): TokenLogprob {
  const entry = asObject(value);
  const others = top === 0 ? [] : asArray(entry.top_logprobs).map((other) => likely(asObject(other)));
  return { ...likely(entry), top: likeliest(others, top) };
}

function likely(entry: Loose): LikelyToken {
  const token = asCount(entry.id);
  const known = { bytes: bytesOf(entry), logprob: logprobOf(entry.logprob) };
  return token === undefined ? known : { token, ...known };
}

/** Servers put the token that was said first, and one more than was asked for. */
function likeliest(tokens: LikelyToken[], top: number): readonly LikelyToken[] {
  return tokens.sort((one, other) => other.logprob - one.logprob).slice(0, top);
}

function logprobOf(value: unknown): number {
  return typeof value === 'number' ? Math.max(value, NEVER) : NEVER;
}

function bytesOf({ bytes, token }: Loose): readonly number[] {
  if (Array.isArray(bytes)) return bytes.filter((byte): byte is number => asCount(byte) !== undefined);
  return typeof token === 'string' ? [...Buffer.from(token)] : [];
}
