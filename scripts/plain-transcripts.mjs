// The transcripts of docs/command-line.md that need no server and no terminal: `npm run docs` writes them, and `npm run check` fails
// where they are stale. Those of a conversation are made by `npm run transcripts`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Name of the transcript → command lines. */
const PLAIN = {
  'wrong usage': [
    'llm-serve chat --server :9',
    'llm-serve chatt',
    'llm-serve run --temprature 1 hello',
    'llm-serve --port 9000 status',
  ],
  help: ['llm-serve --help'],
};

/** The page with these transcripts as they are now. */
export function withPlainTranscripts(text, root) {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-transcripts-'));
  try {
    return Object.entries(PLAIN).reduce(
      (page, [name, lines]) =>
        put(page, name, lines.map((line) => `$ ${line}\n${outputOf(line, { root, folder })}`).join('')),
      text,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a terminal of 80 columns shows. */
function outputOf(line, { root, folder }) {
  const [, ...words] = line.split(' ');
  const { stdout, stderr } = spawnSync(process.execPath, [join(root, 'dist', 'cli', 'main.js'), ...words], {
    ...{ cwd: folder, encoding: 'utf8' },
    env: { PATH: process.env.PATH, HOME: folder },
  });
  return stderr + stdout;
}

/** Between the marks of the page. */
export function put(text, name, transcript) {
  const begin = `<!-- transcript ${name} -->`;
  const end = '<!-- end of transcript -->';
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from === -1 || to === -1)
    throw new Error(`docs/command-line.md has no place for the transcript ${name}`);
  return `${text.slice(0, from)}${begin}\n\`\`\`text\n${transcript.trimEnd()}\n\`\`\`\n${text.slice(to)}`;
}
