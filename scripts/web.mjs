// Builds web/ to web/ of the folder that it is given: index.html, and hashed scripts, styles and images in assets/, each also compressed. The server
// (src/http/pages.ts) sends them as they lie there. Fails when the page, or what the Admin view adds to it, is larger than its budget.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import * as esbuild from 'esbuild-wasm';
import { licencesOf } from './licences.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
/** As esbuild names it. */
const FOLDER = `${process.argv[2]}/web`;
const output = join(root, FOLDER);
const ENTRY = 'web/main.tsx';
const ICON = 'web/icon.svg';

/** Its code and styles are loaded when it is first shown: who chats never loads them. */
const ADMIN_ENTRY = 'web/admin/admin-view.tsx';
const ADMIN_STYLES = 'web/admin/admin.css';

/** Of all files of a part together, as brotli sends them. `admin`: what it loads beside files that the page has already. */
const BUDGET_BYTES = { page: 113_000, admin: 22_000 };

async function buildPage() {
  const { metafile, outputFiles } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: [ENTRY, ADMIN_STYLES],
    outdir: `${FOLDER}/assets`,
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
  const script = outputOf(metafile, ENTRY);
  const admin = outputOf(metafile, ADMIN_ENTRY);
  const adminStyles = outputOf(metafile, ADMIN_STYLES);
  const icon = readFileSync(join(root, ICON));
  const iconFile = `assets/icon-${createHash('sha256').update(icon).digest('hex').slice(0, 8)}.svg`;
  const page = readFileSync(join(root, 'web', 'index.html'), 'utf8')
    .replace('icon.svg', iconFile)
    .replace('main.css', inPage(metafile.outputs[script].cssBundle))
    .replace('admin.css', inPage(adminStyles))
    .replace('main.tsx', inPage(script));
  const withoutAdmin = reachable(metafile, script, admin);
  write([...files, [iconFile, icon], ['index.html', Buffer.from(page)]], (name) => {
    const path = `${FOLDER}/${name}`;
    const isAdmin = path === adminStyles || (path.endsWith('.js') && !withoutAdmin.has(path));
    return isAdmin ? 'admin' : 'page';
  });
  writeFileSync(
    join(output, 'licences.txt'),
    licencesOf(Object.keys(metafile.inputs).map((path) => join(root, path))),
  );
}

function outputOf({ outputs }, source) {
  return Object.keys(outputs).find((path) => outputs[path].entryPoint === source);
}

/** The scripts that one loads, now or later, itself included; what only `without` loads is not among them. */
function reachable({ outputs }, from, without, found = new Set()) {
  if (from === without || found.has(from)) return found;
  found.add(from);
  for (const { path } of outputs[from].imports) reachable({ outputs }, path, without, found);
  return found;
}

function inPage(path) {
  return path.replace(`${FOLDER}/`, '');
}

/** `partOf`: the part of the page that a file belongs to, by its name. */
function write(files, partOf) {
  rmSync(output, { recursive: true, force: true });
  const totals = { page: 0, admin: 0 };
  for (const [name, bytes] of files) {
    const path = join(output, name);
    mkdirSync(dirname(path), { recursive: true });
    const brotli = brotliCompressSync(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    });
    writeFileSync(path, bytes);
    writeFileSync(`${path}.br`, brotli);
    writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
    totals[partOf(name)] += brotli.length;
    process.stdout.write(`${name} (${partOf(name)}) ${bytes.length} bytes, ${brotli.length} with brotli\n`);
  }
  for (const [part, total] of Object.entries(totals)) {
    process.stdout.write(`${part} together ${total} of ${BUDGET_BYTES[part]}\n`);
    if (total > BUDGET_BYTES[part])
      throw new Error(`${part} has ${total} bytes, more than its budget of ${BUDGET_BYTES[part]}`);
  }
}

await buildPage();
