/** Bodies that are nearly right: a value somewhere inside is replaced, taken away, or joined by one too many. And such as are none. */
import fc from 'fast-check';

/** Stands for JSON that no value can be written as: `NaN`, `1e999`. */
const RAW = '\u0001';

const HOSTILE: readonly unknown[] = [
  null,
  true,
  '',
  '5',
  'NaN',
  '\ud800',
  'a\u0000b',
  '__proto__',
  'constructor',
  'data:image/png;base64,AAAA',
  'https://example.com/a.png',
  -1,
  0,
  0.5,
  2 ** 31,
  2 ** 53,
  -1e300,
  `${RAW}NaN${RAW}`,
  `${RAW}1e999${RAW}`,
  `${RAW}-1e999${RAW}`,
  `${RAW}-0${RAW}`,
  `${RAW}123456789012345678901234567890${RAW}`,
  [],
  {},
  [null],
  [[]],
  [{}],
  { type: 'unheard-of' },
  nested(127, '[', ']'),
  nested(2000, '[', ']'),
  nested(2000, '{"a":', '}'),
  nested(50_000, '[', ']'),
];

const NAMES = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'unheard_of',
  '',
  'a.b[0]',
  'type',
  'role',
  'name',
  'id',
  'content',
];

type Change = (at: Place) => void;

/** An entry of a list or a field of an object. */
interface Place {
  readonly holder: Record<string, unknown>;
  readonly key: string;
}

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.constantFrom(...HOSTILE).map(
    (value): Change =>
      ({ holder, key }) =>
        put(holder, key, value),
  ),
  fc.constant<Change>(({ holder, key }) => {
    if (Array.isArray(holder)) holder.splice(Number(key), 1);
    else delete holder[key];
  }),
  fc.constant<Change>(({ holder, key }) => put(holder, key, asText(holder[key]))),
  fc.constant<Change>(({ holder, key }) => put(holder, key, [holder[key]])),
  // Twice the same tool, message, call.
  fc.constant<Change>(({ holder, key }) => {
    if (Array.isArray(holder)) holder.push(structuredClone(holder[Number(key)]));
    else put(holder, key, [holder[key], holder[key]]);
  }),
  fc.constant<Change>(({ holder }) => {
    if (Array.isArray(holder)) holder.reverse();
  }),
  fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(...HOSTILE)).map(
    ([name, value]): Change =>
      ({ holder, key }) => {
        const inside = holder[key];
        const target = typeof inside === 'object' && inside !== null ? inside : holder;
        if (!Array.isArray(target)) put(target as Record<string, unknown>, name, value);
      },
  ),
);

/** One or two changes, anywhere in it. */
export function nearMisses(valid: fc.Arbitrary<unknown>): fc.Arbitrary<string> {
  const changes = fc.array(fc.tuple(fc.nat(), change), { minLength: 1, maxLength: 2 });
  return fc.tuple(valid, changes).map(([body, each]) => {
    const root = { body: structuredClone(body) };
    for (const [where, apply] of each) {
      const places = placesIn(root);
      const place = places[where % places.length];
      if (place !== undefined) apply(place);
    }
    return asJson(root.body);
  });
}

/** Bytes that are no JSON object in UTF-8. */
export const NO_OBJECTS: readonly Buffer[] = [
  Buffer.from(''),
  Buffer.from(' \n'),
  Buffer.from('\ufeff'),
  Buffer.from('{'),
  Buffer.from('{"model":"demo","messages":[{"role":"user","content":"a'),
  Buffer.from('{"model":"demo"}{"model":"demo"}'),
  Buffer.from('{"model":"demo",}'),
  Buffer.from("{'model':'demo'}"),
  Buffer.from('[]'),
  Buffer.from('[{"model":"demo"}]'),
  Buffer.from('7'),
  Buffer.from('"text"'),
  Buffer.from('null'),
  Buffer.from('true'),
  Buffer.from('NaN'),
  Buffer.from('[1e999]'),
  Buffer.from('['.repeat(100_000)),
  Buffer.from(`${'['.repeat(100_000)}${']'.repeat(100_000)}`),
  Buffer.from([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]),
  Buffer.concat([Buffer.from('{"model":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]),
  Buffer.concat([Buffer.from('{"prompt":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]),
  Buffer.from([0x1f, 0x8b, 0x08, 0x00, 0x00]),
  Buffer.alloc(1000),
];

/** The body's own place is the first. */
function placesIn(root: Record<string, unknown>): Place[] {
  const places: Place[] = [];
  const holders: Record<string, unknown>[] = [root];
  for (let holder = holders.pop(); holder !== undefined && places.length < 500; holder = holders.pop()) {
    for (const [key, value] of Object.entries(holder)) {
      places.push({ holder, key });
      if (typeof value === 'object' && value !== null) holders.push(value as Record<string, unknown>);
    }
  }
  return places;
}

/** Assigning would set the prototype; and what is put there may be changed next. */
function put(holder: object, name: string, given: unknown): void {
  const value = structuredClone(given);
  Object.defineProperty(holder, name, { value, writable: true, enumerable: true, configurable: true });
}

function asText(value: unknown): string {
  return typeof value === 'string' ? `${value}"` : asJson(value);
}

export function asJson(value: unknown): string {
  return (JSON.stringify(value) ?? 'null').replace(/"\\u0001([^"]*?)\\u0001"/g, (_, raw: string) =>
    JSON.parse(`"${raw}"`),
  );
}

/** Written, not nested: whoever walks the body here need not be careful. */
function nested(levels: number, open: string, close: string): string {
  return `${RAW}${open.repeat(levels)}1${close.repeat(levels)}${RAW}`;
}
