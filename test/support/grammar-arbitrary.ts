/** Small grammars of four rules, as GBNF. Many of them must be refused, as they would be from a client. */
import fc from 'fast-check';

export function grammars(): fc.Arbitrary<string> {
  const atom = fc.constantFrom(
    '"a"',
    '"bc"',
    '[a-c]',
    '[^ab]',
    '.',
    'root',
    'r1',
    'r2',
    'r3',
    '("a" | r1)',
    '(| "b")',
  );
  const sign = fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,3}', '{0,2}', '{2,}');
  const item = fc.tuple(atom, sign).map((parts) => parts.join(''));
  const sequence = fc.array(item, { minLength: 0, maxLength: 3 }).map((items) => items.join(' '));
  const body = fc
    .array(sequence, { minLength: 1, maxLength: 3 })
    .map((ways) => `("x" | ${ways.join(' | ')})`);
  return fc
    .tuple(body, body, body, body)
    .map((bodies) =>
      bodies.map((rule, index) => `${index === 0 ? 'root' : `r${index}`} ::= ${rule}`).join('\n'),
    );
}
