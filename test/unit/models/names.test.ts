import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import { hubDownloadUrl } from '../../../src/models/hub.ts';
import { parseReference, remoteFileOf } from '../../../src/models/names.ts';

const SHA256 = 'ab'.repeat(32);

function fileOf(text: string) {
  const reference = parseReference(text);
  if (reference.kind === 'path') throw new Error(`${text} was taken for a path`);
  return remoteFileOf(reference);
}

describe('a model’s name', () => {
  it.each([
    ['smollm2-135m-instruct', 'catalogue'],
    ['hf:owner/repo/file.gguf', 'hub'],
    ['https://host/file.gguf', 'url'],
    ['http://127.0.0.1:8080/file.gguf', 'url'],
    ['./file.gguf', 'path'],
    ['file.gguf', 'path'],
    ['/models/file.bin', 'path'],
    ['C:\\models\\file.gguf', 'path'],
  ])('%s is of the kind %s', (text, kind) => {
    expect(parseReference(text).kind).toBe(kind);
  });

  it.each([
    ['hf:owner/repo/file.gguf', 'hf--owner--repo--file.gguf'],
    ['hf:owner/repo/sub/file.gguf', 'hf--owner--repo--sub--file.gguf'],
    ['hf:owner/repo/file.gguf@v1.0', 'hf--owner--repo@v1.0--file.gguf'],
    ['hf:owner/repo/file.gguf@refs/pr/1', 'hf--owner--repo@refs--pr--1--file.gguf'],
    ['hf:owner/repo/a--b-.gguf', 'hf--owner--repo--a%2D%2Db-.gguf'],
  ])('%s has a file that a person can read', (text, fileName) => {
    expect(fileOf(text)).toMatchObject({ name: text, fileName });
  });

  it('keeps an address and its query apart from another', () => {
    const [plain, signed] = ['https://h/m/x.gguf', 'https://h/m/x.gguf?key=secret'].map(fileOf);
    expect(plain?.fileName).toMatch(/^https--h--x--[0-9a-f]{12}\.gguf$/);
    expect(signed?.fileName).not.toBe(plain?.fileName);
    expect(signed?.name).toBe('https://h/m/x.gguf');
    expect(signed?.sources).toEqual([{ kind: 'https', url: 'https://h/m/x.gguf?key=secret' }]);
  });

  it('takes a checksum from the fragment of an address', () => {
    const file = fileOf(`https://host/file.gguf#sha256=${SHA256.toUpperCase()}`);
    expect(file).toMatchObject({ sha256: SHA256, name: 'https://host/file.gguf' });
    expect(file.fileName).toBe(fileOf('https://host/file.gguf').fileName);
  });

  it('is an address of the hub, revision and path escaped', () => {
    const file = { owner: 'o', repository: 'r', path: 'a b/c+d.gguf', revision: 'refs/pr/1' };
    expect(hubDownloadUrl(file, 'https://hub.example/')).toBe(
      'https://hub.example/o/r/resolve/refs%2Fpr%2F1/a%20b/c%2Bd.gguf',
    );
  });
});

describe('a name that is none is refused with the reason', () => {
  it.each([
    ['gpt-unknown', /Known names: smollm2-135m-instruct.*hf:owner\/repo\/file\.gguf.*https:.*path/],
    ['hf:', /must have the form hf:owner\/repo\/file\.gguf/],
    ['hf:owner/repo', /must have the form/],
    ['hf:owner/repo/model.safetensors', /does not name a GGUF file/],
    ['hf:../repo/file.gguf', /the owner "\.\."/],
    ['hf:owner/../file.gguf', /the repository "\.\."/],
    ['hf:owner/a--b/file.gguf', /the repository "a--b"/],
    ['hf:owner/repo/../../file.gguf', /".." in its path/],
    ['hf:owner/repo//file.gguf', /"" in its path/],
    ['hf:owner/repo/%2e%2e/file.gguf', /in its path/],
    ['hf:owner/repo/file.gguf?download=true', /in its path/],
    ['hf:owner/repo/a\\b.gguf', /in its path/],
    ['hf:owner/repo/file.gguf@../x', /the revision/],
    ['hf:owner/repo/file.gguf@', /the revision/],
    ['hf:owner/repo/file.gguf@a@b', /must have the form/],
    ['hf:owner/repo/file-00002-of-00003.gguf', /part 2 of 3.*path of the first/],
    ['http://host/file.gguf', /must be an https:\/\/ URL/],
    ['ftp://host/file.gguf', /must be an https:\/\/ URL/],
    ['https://user:secret@host/file.gguf', /user name or password/],
    ['https://host/model.bin', /must end in the name of a GGUF file/],
    ['https://host/file.gguf#md5=1', /only #sha256=/],
    ['https://host/file.gguf#sha256=abc', /64 hexadecimal digits/],
    ['https://', /not a valid URL/],
  ])('%s', (text, reason) => {
    expect(() => parseReference(text)).toThrow(ServingError);
    expect(() => parseReference(text)).toThrow(reason);
  });
});

describe('the name of a file in the cache', () => {
  const segment = fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,6}$/);
  const account = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,6}$/);
  const name = fc
    .tuple(account, account, fc.array(segment, { maxLength: 2 }), segment, fc.option(segment))
    .map(([owner, repository, folders, stem, revision]) => {
      const path = [...folders, `${stem}.gguf`].join('/');
      return `hf:${owner}/${repository}/${path}${revision === null ? '' : `@${revision}`}`;
    })
    .filter((text) => {
      try {
        return parseReference(text).kind === 'hub';
      } catch {
        return false;
      }
    });

  it('is one name in one folder, and no two models have the same', () => {
    fc.assert(
      fc.property(name, name, (one, other) => {
        const [first, second] = [fileOf(one), fileOf(other)];
        expect(first.fileName).toMatch(/^hf--[^/\\]+\.gguf$/);
        if (first.name !== second.name) expect(first.fileName).not.toBe(second.fileName);
      }),
    );
  });

  it('whatever is given, does not leave the folder and is not too long', () => {
    const long = fc.stringMatching(/^hf:[ab]{1,3}\/[ab]{1,3}(\/[a-z.@%-]{1,90}){1,5}\.gguf$/);
    const address = fc.webUrl({ withQueryParameters: true }).map((url) => url.replace(/(\?|$)/, '/x.gguf$1'));
    fc.assert(
      fc.property(fc.oneof(long, address), (text) => {
        let fileName: string;
        try {
          fileName = fileOf(text).fileName;
        } catch {
          return;
        }
        expect(fileName).not.toMatch(/[/\\\0]|^\.\.?$/);
        expect(Buffer.byteLength(`${fileName}.partial.json`)).toBeLessThanOrEqual(255);
      }),
      { numRuns: 40 },
    );
  });
});
