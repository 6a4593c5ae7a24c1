/** text.format becomes the core's OutputFormat. */
import type { OutputFormat } from '../../../core/generation.ts';
import { showValue } from '../../../schema/violation.ts';
import { invalid } from '../../invalid.ts';
import { lenientReader } from '../../lenient-body.ts';
import { type ResponsesFields, TextSettings } from './request-schema.ts';
import { JsonSchemaFormat } from './tool-schema.ts';

export type TextFormatBody = { readonly type: 'text' | 'json_object' } | JsonSchemaFormat;

const readSettings = lenientReader(TextSettings);
const readSchemaFormat = lenientReader(JsonSchemaFormat);

/** Checked, and nothing else than what is known of it: answers repeat it. */
export function parseFormat(text: ResponsesFields['text']): TextFormatBody {
  const { format } = readSettings(text ?? {}, 'text');
  if (format === undefined) return { type: 'text' };
  const { type } = format as { readonly type?: unknown };
  if (type === 'json_schema') {
    const { name, description, schema, strict } = readSchemaFormat(format, 'text.format');
    return {
      type,
      name,
      ...(description !== undefined && { description }),
      schema,
      ...(strict !== undefined && { strict }),
    };
  }
  if (type === 'text' || type === 'json_object') return { type };
  throw invalid(
    'text.format.type',
    `text.format.type is ${showValue(type)}, but must be one of "text", "json_object", "json_schema".`,
  );
}

export function outputFormatOf(format: TextFormatBody): OutputFormat | undefined {
  switch (format.type) {
    case 'text':
      return undefined;
    case 'json_object':
      return { kind: 'json' };
    case 'json_schema':
      return { kind: 'json-schema', schema: format.schema };
    default:
      throw format satisfies never;
  }
}
