/** What bodies with OpenAI's names for sampling have in common: a table of fields, the biases and the bad words. */
import type { Sampling } from '../core/generation.ts';
import { parseLogitBias } from './logit-bias.ts';

/** To be completed by the protocol. */
export type UnfinishedSampling = { -readonly [Name in keyof Sampling]: Sampling[Name] };

type NumberName = Exclude<keyof Sampling, 'logitBias' | 'badWords'>;

/** `fields`: of a body → the sampling field that each sets, as it is. */
export function samplingReader<Field extends string>(fields: Readonly<Record<Field, NumberName>>) {
  const entries = Object.entries(fields) as [Field, NumberName][];
  return (
    body: { readonly [Name in Field]?: number } & {
      readonly logit_bias?: Readonly<Record<string, number>>;
      readonly bad_words?: readonly string[];
    },
  ): UnfinishedSampling => {
    const sampling: UnfinishedSampling = {};
    const numbers: { readonly [Name in Field]?: number } = body;
    for (const [field, name] of entries) {
      const value = numbers[field];
      if (value !== undefined) sampling[name] = value;
    }
    const logitBias = body.logit_bias === undefined ? [] : parseLogitBias(body.logit_bias);
    if (logitBias.length > 0) sampling.logitBias = logitBias;
    if (body.bad_words !== undefined && body.bad_words.length > 0) sampling.badWords = body.bad_words;
    return sampling;
  };
}
