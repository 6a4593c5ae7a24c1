/**
 * The rules of plain JSON (RFC 8259) that all grammars made here share. Whitespace and digits are bounded, so that a
 * model that has lost its way cannot go on with them for ever. An escape never names a surrogate: what lies beyond
 * U+FFFF is written as itself, which makes every `char` one character of the string.
 */
export type JsonRule =
  | 'ws'
  | 'char'
  | 'string'
  | 'integer'
  | 'number'
  | 'boolean'
  | 'null'
  | 'array'
  | 'object'
  | 'value';

export interface RuleText {
  readonly body: string;
  readonly needs: readonly JsonRule[];
}

export const JSON_RULES: ReadonlyMap<JsonRule | string, RuleText> = new Map<JsonRule, RuleText>([
  // At most one space, or one new line and its indentation.
  ['ws', { body: String.raw`| " " | "\n" [ \t]{0,20}`, needs: [] }],
  [
    'char',
    {
      body: String.raw`[^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" ([0-9a-cA-CefEF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}))`,
      needs: [],
    },
  ],
  ['string', { body: String.raw`"\"" char* "\""`, needs: ['char'] }],
  // Fifteen digits are exact in every reader.
  ['integer', { body: '"0" | "-"? [1-9] [0-9]{0,14}', needs: [] }],
  [
    'number',
    {
      body: '"-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]{1,20})? ([eE] [-+]? [0-9]{1,2})?',
      needs: [],
    },
  ],
  ['boolean', { body: '"true" | "false"', needs: [] }],
  ['null', { body: '"null"', needs: [] }],
  ['array', { body: '"[" ws (value ("," ws value)* ws)? "]"', needs: ['ws', 'value'] }],
  [
    'object',
    {
      body: '"{" ws (string ":" ws value ("," ws string ":" ws value)* ws)? "}"',
      needs: ['ws', 'string', 'value'],
    },
  ],
  [
    'value',
    {
      body: 'object | array | string | number | boolean | null',
      needs: ['object', 'array', 'string', 'number', 'boolean', 'null'],
    },
  ],
]);
