/**
 * What is wrong with a schema, and where in it. A contradiction is a schema that no value meets: as one branch of
 * several it simply drops out.
 */
import { ServingError } from '../../../../core/errors.ts';

/** From the root of the schema: `['properties', 'age']`. */
export type Pointer = readonly string[];

export class SchemaProblem extends Error {
  readonly pointer: Pointer;
  /** The keyword at fault, if it is one. */
  readonly keyword: string | undefined;

  constructor(pointer: Pointer, keyword: string | undefined, reason: string) {
    super(reason);
    this.pointer = pointer;
    this.keyword = keyword;
  }

  movedTo(pointer: Pointer): SchemaProblem {
    return new SchemaProblem(pointer, this.keyword, this.message);
  }
}

export class Contradiction extends SchemaProblem {
  override movedTo(pointer: Pointer): Contradiction {
    return new Contradiction(pointer, this.keyword, this.message);
  }
}

/** As JSON Pointer: `#/properties/age`. */
export function pointerText(pointer: Pointer): string {
  return ['#', ...pointer.map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1'))].join('/');
}

/** `param` is the field that the schema came in: the error's is `format.properties.age.multipleOf`. */
export function toRefusal({ pointer, keyword, message }: SchemaProblem, param: string): ServingError {
  const subject = keyword === undefined ? 'This schema' : keyword;
  return new ServingError('invalid_request', {
    message: `${subject} at ${shortened(pointerText(pointer))} of ${param} ${message}`,
    param: shortened([param, ...pointer, ...(keyword === undefined ? [] : [keyword])].join('.')),
  });
}

function shortened(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
