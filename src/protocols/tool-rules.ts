/** What every protocol asks of the tools that a client offers. */
import { showValue } from '../schema/violation.ts';
import { invalid } from './invalid.ts';
import { refuseDeepNesting } from './nesting.ts';

/** Adds the name to those of the request. `path` is that of the object that has it. */
export function takeToolName(name: string, path: string, taken: Set<string>): void {
  if (taken.has(name))
    throw invalid(
      `${path}.name`,
      `${path}.name is ${JSON.stringify(name)}, as that of another tool. Each needs its own.`,
    );
  taken.add(name);
}

/** `type`: whether the schema must name its type. */
export function checkArguments(
  schema: object,
  path: string,
  { type: asked }: { readonly type: 'required' | 'optional' } = { type: 'optional' },
): void {
  const { type } = schema as { readonly type?: unknown };
  if (type !== 'object' && (type !== undefined || asked === 'required'))
    throw invalid(
      `${path}.type`,
      `${path}.type is ${showValue(type)}, but must be "object": arguments have names.`,
    );
  refuseDeepNesting(schema, path);
}
