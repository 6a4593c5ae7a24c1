// The licence texts of packages that a bundle contains.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The licences of the packages that the modules at these paths belong to, as those ask for. */
export function licencesOf(modules) {
  const folders = new Set(modules.flatMap((id) => packageFolder(id) ?? []));
  return [...folders]
    .sort()
    .map((folder) => {
      const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      const file = ['LICENSE', 'license', 'LICENSE.md', 'LICENCE', 'LICENSE.txt'].find((each) =>
        existsSync(join(folder, each)),
      );
      const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8');
      return `${name} ${version}\n\n${text.trim()}\n`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}

function packageFolder(id) {
  const at = id.lastIndexOf('node_modules');
  if (at === -1) return undefined;
  const [first, second] = id.slice(at + 'node_modules/'.length).split(/[\\/]/);
  return join(id.slice(0, at), 'node_modules', first.startsWith('@') ? join(first, second) : first);
}
