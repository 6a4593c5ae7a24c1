/** output_config and thinking become the core's wishes for the form of an answer and for the thoughts before it. */
import type { OutputFormat, ThinkingWish } from '../../core/generation.ts';
import { invalid } from '../invalid.ts';
import { lenientReader } from '../lenient-body.ts';
import { refuseDeepNesting } from '../nesting.ts';
import { type ConversationBody, JsonFormat, OutputConfig, Thinking } from './schema.ts';

const readConfig = lenientReader(OutputConfig);
const readFormat = lenientReader(JsonFormat);
const readThinking = lenientReader(Thinking);

/** There is no more than much. */
const LEVELS = { low: 'low', medium: 'medium', high: 'high', xhigh: 'high', max: 'high' } as const;

/** `output_format` is what output_config.format was called before. */
export function parseOutput({ output_config, output_format }: ConversationBody): OutputFormat | undefined {
  const format = output_config === undefined ? undefined : readConfig(output_config, 'output_config').format;
  if (format !== undefined && output_format !== undefined)
    throw invalid(
      'output_format',
      'output_format is the old name of output_config.format; only one may be given.',
    );
  const given = format ?? output_format;
  if (given === undefined) return undefined;
  const path = format === undefined ? 'output_format' : 'output_config.format';
  const { schema } = readFormat(given, path);
  refuseDeepNesting(schema, `${path}.schema`);
  return { kind: 'json-schema', schema };
}

export interface ThinkingSetting {
  /** Undefined: as the model does when nothing is said. */
  readonly wish: ThinkingWish | undefined;
  /** The thoughts are not shown. */
  readonly omitted: boolean;
}

/** How much the model thinks is said by the effort; a budget no backend takes. */
export function parseThinking({ thinking, output_config }: ConversationBody): ThinkingSetting {
  if (thinking === undefined) return { wish: false, omitted: false };
  const { type, display } = readThinking(thinking, 'thinking');
  const omitted = display === 'omitted';
  switch (type) {
    case 'disabled':
      return { wish: false, omitted };
    case 'adaptive':
    case 'between_tools':
      return { wish: undefined, omitted };
    case 'enabled': {
      const { effort } = output_config === undefined ? {} : readConfig(output_config, 'output_config');
      return { wish: effort === undefined ? true : LEVELS[effort], omitted };
    }
    default:
      throw type satisfies never;
  }
}
