import { describe, expect, it } from 'vitest';
import { hashOfKey } from '../../../src/access/key-text.ts';
import { readImportedKeys } from '../../../src/cli/key-import.ts';

const HASH = 'ab'.repeat(32);

function read(text: string, fields = {}, taken: readonly string[] = [], held: readonly string[] = []) {
  const options = { fields, taken: new Set(taken), held: new Set(held), now: 0 };
  return readImportedKeys(text, options).map(({ settings, ...secret }) => ({
    name: settings.name,
    team: settings.team,
    ...secret,
  }));
}

function refusalOf(text: string): string {
  try {
    read(text);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('it was not refused');
}

describe('readImportedKeys', () => {
  it('takes a plain list, with or without names, and hashes', () => {
    expect(
      read(`# the old gateway\nkey-number-1\n\nthe red team  key-number-2\r\nblue sha256:${HASH}\n`),
    ).toEqual([
      { name: 'imported-1', key: 'key-number-1' },
      { name: 'the red team', key: 'key-number-2' },
      { name: 'blue', hash: HASH },
    ]);
  });

  it('takes JSON lines and a JSON array, with all fields of a key', () => {
    const entries = [
      { name: 'alice', key: 'key-number-1', team: 'red' },
      { hash: HASH.toUpperCase(), name: 'bob' },
      'key-number-3',
    ];
    const expected = [
      { name: 'alice', team: 'red', key: 'key-number-1' },
      { name: 'bob', hash: HASH },
      { name: 'imported-1', key: 'key-number-3' },
    ];
    expect(read(entries.map((entry) => JSON.stringify(entry)).join('\n'))).toEqual(expected);
    expect(read(JSON.stringify(entries, null, 2))).toEqual(expected);
  });

  it('takes a key with a comma as JSON', () => {
    expect(read('"key,number,1"\n{"key":"key,number,2"}').map((each) => 'key' in each && each.key)).toEqual([
      'key,number,1',
      'key,number,2',
    ]);
  });

  it('gives names that are free', () => {
    expect(
      read('key-number-1\nimported-2 key-number-2\nkey-number-3', {}, ['imported-1']).map(({ name }) => name),
    ).toEqual(['imported-3', 'imported-2', 'imported-4']);
  });

  it('refuses a name that is taken or comes twice, before anything is added', () => {
    const refusal = (text: string) => () => read(text, {}, ['alice']);
    expect(refusal('bob key-number-1\nalice key-number-2')).toThrow(
      'Line 2: there is a key named "alice" already.',
    );
    expect(refusal('bob key-number-1\n\nbob key-number-2')).toThrow('Line 3: Line 1 has the name "bob" too.');
  });

  it('takes a list again whose keys are in the store: they are left alone', () => {
    const held = [hashOfKey('key-number-1'), HASH];
    expect(read(`alice key-number-1\nbob sha256:${HASH}`, {}, ['alice', 'bob'], held)).toHaveLength(2);
    expect(read('carol key-number-3\ncarol key-number-3')).toHaveLength(2);
  });

  it('has the fields of the options for all, unless a line has its own', () => {
    const text = 'key-number-1\n{"key":"key-number-2","team":"blue"}';
    expect(read(text, { team: 'red' }).map(({ team }) => team)).toEqual(['red', 'blue']);
  });

  it.each([
    ['a short key', 'ok key-number-1\nname short', 'Line 2: a key must have 8 to 512 characters'],
    ['a key before its name', 'sk-proj-abcdefgh alice', 'Line 1: the name looks like a key.'],
    ['text that is no JSON', '{"key": secret-key-1', 'Line 1 is not valid JSON.'],
    ['neither key nor hash', '{"name":"a"}', 'Line 1 must have a key or a hash: one of them.'],
    [
      'a hash of another kind',
      '{"hash":"secret-key-1"}',
      'Line 1: hash must be the SHA-256 of the whole key',
    ],
    ['a field that does not exist', '[{"key":"secret-key-1","limit":1}]', 'Entry 1: limit is not known.'],
    [
      'a hash that is cut off, which would be a key that opens the door',
      'alice sha256:secret-key-1',
      'Line 1: sha256: must be followed by 64 hexadecimal digits',
    ],
    ['the same as a key', '{"key":"sha256:secret-key-1"}', 'Line 1: sha256: must be followed by'],
    ['a table with commas', 'name,key\nalice,secret-key-1', 'Line 1 has a comma or a semicolon, and'],
    ['a table with commas and spaces', 'alice, secret-key-1', 'Line 1 has a comma or a semicolon, and'],
    ['a table with semicolons', 'alice;secret-key-1', 'Line 1 has a comma or a semicolon, and'],
    ['a number', '[5]', 'Entry 1 must be a key, or an object'],
  ])('refuses %s, and shows no secret', (_, text, message) => {
    const refusal = refusalOf(text);
    expect(refusal).toContain(message);
    expect(refusal).not.toMatch(/secret-key|sk-proj|short/);
  });
});
