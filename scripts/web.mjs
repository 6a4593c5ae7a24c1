// Builds web/ to dist/web/: index.html, and hashed scripts, styles and images in assets/, each also compressed. The server
// (src/http/pages.ts) sends them as they lie there. Fails when the page is larger than its budget.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import * as esbuild from 'esbuild-wasm';
import { licencesOf } from './licences.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const output = join(root, 'dist', 'web');
const ENTRY = 'web/main.tsx';
const ICON = 'web/icon.svg';

/** Of all files together, as brotli sends them. */
const BUDGET_BYTES = 120_000;

async function buildPage() {
  const { metafile, outputFiles } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: [ENTRY],
    outdir: 'dist/web/assets',
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    minify: true,
    write: false,
    metafile: true,
    target: ['chrome123', 'firefox120', 'safari17.5'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    logLevel: 'error',
  });
  const files = outputFiles.map(({ path, contents }) => [
    path.slice(output.length + 1),
    Buffer.from(contents),
  ]);
  const [, entry] = Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint === ENTRY);
  const script = Object.keys(metafile.outputs).find((path) => metafile.outputs[path] === entry);
  const icon = readFileSync(join(root, ICON));
  const iconFile = `assets/icon-${createHash('sha256').update(icon).digest('hex').slice(0, 8)}.svg`;
  const page = readFileSync(join(root, 'web', 'index.html'), 'utf8')
    .replace('icon.svg', iconFile)
    .replace('main.css', inPage(entry.cssBundle))
    .replace('main.tsx', inPage(script));
  write([...files, [iconFile, icon], ['index.html', Buffer.from(page)]]);
  writeFileSync(
    join(output, 'licences.txt'),
    licencesOf(Object.keys(metafile.inputs).map((path) => join(root, path))),
  );
}

function inPage(path) {
  return path.replace('dist/web/', '');
}

function write(files) {
  rmSync(output, { recursive: true, force: true });
  let total = 0;
  for (const [name, bytes] of files) {
    const path = join(output, name);
    mkdirSync(dirname(path), { recursive: true });
    const brotli = brotliCompressSync(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    });
    writeFileSync(path, bytes);
    writeFileSync(`${path}.br`, brotli);
    writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
    total += brotli.length;
    process.stdout.write(`${name} ${bytes.length} bytes, ${brotli.length} with brotli\n`);
  }
  process.stdout.write(`together ${total} of ${BUDGET_BYTES}\n`);
  if (total > BUDGET_BYTES)
    throw new Error(`the page has ${total} bytes, more than its budget of ${BUDGET_BYTES}`);
}

await buildPage();
