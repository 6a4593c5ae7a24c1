/** Pages lead where they say: every relative link has its file and heading, every source file and type that a page names exists. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const FOLDERS = ['docs', 'examples', 'deploy', 'src', 'web', 'test', 'scripts', 'bench'];

const filesIn = (folder: string) =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).replaceAll('\\', '/'));
const files = [
  ...readdirSync(ROOT, { withFileTypes: true }).flatMap((entry) => (entry.isFile() ? [entry.name] : [])),
  ...FOLDERS.flatMap(filesIn),
];
const pages = files.filter(
  (path) => path.endsWith('.md') && !path.startsWith('test/') && !path.startsWith('bench/'),
);

/** The name under which GitHub links to a heading. */
function slugOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}

function textOf(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

const withoutCode = (text: string) => text.replaceAll(/^```[\s\S]*?^```$/gm, '');

function headingsOf(page: string): Set<string> {
  const headings = withoutCode(textOf(page)).matchAll(/^#+ (.*)$/gm);
  return new Set([...headings].map(([, heading = '']) => slugOf(heading)));
}

function brokenLinks(page: string): string[] {
  const links = withoutCode(textOf(page)).matchAll(/\]\(([^()\s]+)\)/g);
  return [...links].flatMap(([, link = '']) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? page : posix.normalize(posix.join(dirname(page), path));
    if (!existsSync(join(ROOT, target))) return [link];
    return anchor === undefined || headingsOf(target).has(anchor) ? [] : [link];
  });
}

/** `src/…`, `test/…` and the like as they stand; a name such as `http/server.ts` as the end of a source file's path. */
function missingFiles(page: string): string[] {
  const named = [...textOf(page).matchAll(/(?<![\w./*-])[\w-][\w./-]*\.(?:ts|mjs)\b/g)].map(([path]) => path);
  return [...new Set(named)].filter(
    (name) => !/NAME/.test(name) && !files.some((path) => path === name || path.endsWith(`/${name}`)),
  );
}

test.each(pages)('%s links to what is there', (page) => {
  expect(brokenLinks(page)).toEqual([]);
});

/** Names in code beside a link to the source file that holds them: `Name`, [file.ts](…), or [`Name`](…). */
function missingNames(page: string): string[] {
  const text = withoutCode(textOf(page));
  const named = [
    ...text.matchAll(/`([\w.#]+)`(?:,| in| \(| of)? ?\[[^\]]*\]\(([^()\s]+\.ts)\)/g),
    ...text.matchAll(/\[`([\w.#]+)`\]\(([^()\s]+\.ts)\)/g),
  ];
  return named.flatMap(([, name = '', link = '']) => {
    const source = textOf(posix.normalize(posix.join(dirname(page), link)));
    const isThere = name.split('.').every((part) => new RegExp(`(?<![\\w])${part}(?![\\w])`).test(source));
    return isThere ? [] : [`${name} in ${link}`];
  });
}

// Decisions and benchmarks tell of the code of their day, the changelog of earlier code.
const ofToday = pages.filter((page) => !/^docs\/(decisions|benchmarks)|^CHANGELOG/.test(page));

test.each(ofToday)('%s names source files that are there', (page) => {
  expect(missingFiles(page)).toEqual([]);
});

test.each(ofToday)('%s names what its source files hold', (page) => {
  expect(missingNames(page)).toEqual([]);
});

test('every decision is listed', () => {
  const index = textOf('docs/decisions/README.md');
  const decisions = pages.filter((page) => /^docs\/decisions\/\d/.test(page));
  expect(decisions.filter((page) => !index.includes(`(${posix.basename(page)})`))).toEqual([]);
});

test('every page in docs/ is listed in its index', () => {
  const index = textOf('docs/README.md');
  const listed = pages.filter(
    (page) => page.startsWith('docs/') && !page.startsWith('docs/decisions/0') && page !== 'docs/README.md',
  );
  expect(listed.filter((page) => !index.includes(`(${posix.relative('docs', page)})`))).toEqual([]);
});
