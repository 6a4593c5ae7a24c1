// Puts the program into few files, in place of the one that the compiler wrote: cli/main.js in the folder that it is given, and beside
// it main-*.js, which hold what only some commands need. Loading some 1,300 small files takes longer than everything else that the start does. Not
// minified, so stack traces stay readable; with `node --enable-source-maps` they name the sources. The rest of the folder stays as
// compiled: the engine's process, the grammar thread, and what scripts import.
import { writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { licencesOf } from './licences.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = join(root, 'src');
const folder = join(root, process.argv[2]);
const output = join(folder, 'cli');
/** The program that is started, and what it starts for `server.workers`; they share the files with what both need. */
const ENTRIES = { main: join(source, 'cli', 'main.ts'), worker: join(source, 'cli', 'worker.ts') };
/** What finds files of its own by path, or is loaded in the engine's process alone. */
const LEFT_OUT = [/^node-llama-cpp/];

/** A module that finds something beside itself finds it where the compiler put that module. */
const ownAddresses = {
  name: 'own-addresses',
  transform(code, id) {
    if (id === ENTRIES.main || !id.startsWith(source) || !code.includes('import.meta.url')) return undefined;
    const compiled = join(folder, relative(source, id)).replace(/\.ts$/, '.js');
    const address = relative(output, compiled).replaceAll(sep, '/');
    // Lines stay where they are, which is what a source map is for.
    const own = `new URL(${JSON.stringify(address)}, import.meta.url).href`;
    return { code: code.replaceAll('import.meta.url', own), map: null };
  },
};

async function bundle() {
  const { rolldown } = await import('rolldown');
  const build = await rolldown({
    input: ENTRIES,
    platform: 'node',
    external: LEFT_OUT,
    plugins: [ownAddresses],
  });
  const { output: files } = await build.write({
    dir: output,
    format: 'esm',
    sourcemap: true,
    entryFileNames: '[name].js',
    chunkFileNames: 'main-[name].js',
    comments: { legal: true },
  });
  const modules = files.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
  writeFileSync(join(output, 'main.js.licences.txt'), licencesOf(modules));
}

try {
  await bundle();
} catch (error) {
  // It is not installed where optional packages are left out: the compiled files serve as well.
  if (error.code !== 'ERR_MODULE_NOT_FOUND' && !/native binding/i.test(error.message)) throw error;
  process.stderr.write('rolldown is not installed: the server is built as many files and starts slower.\n');
}
