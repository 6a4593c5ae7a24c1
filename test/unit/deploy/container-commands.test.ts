/** What the pages tell to type into a container: its command is in the image, its service or Deployment exists, and the command line too. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../../../src/cli/main.ts';
import { renderedObjects, VALUE_SETS } from '../../support/helm.ts';
import { dockerfile, readCompose, readText, root } from './deployment-files.ts';

const PLACES = ['README.md', 'SECURITY.md', 'Dockerfile', 'docs', 'deploy', 'examples'];
const files = [...PLACES, ...readdirSync(root).filter((name) => /^compose.*\.yaml$/.test(name))]
  .flatMap((place) =>
    statSync(join(root, place)).isFile()
      ? [place]
      : readdirSync(join(root, place), { recursive: true, encoding: 'utf8' }).map((name) =>
          join(place, name),
        ),
  )
  .filter((path) => /(?:\.md|\.ya?ml|\.txt|Dockerfile)$/.test(path));

/** Up to the end of the line, of its code, or of what is done with its output; comments of files are read as well. */
const text = files
  .map((path) => readText(path).replaceAll('\\\n', ' ').replaceAll('{{ $name }}', 'llm-serve'))
  .join('\n');
const REST = '([^\\n`|#]*)';
const allOf = (pattern: string) =>
  [...text.matchAll(new RegExp(pattern, 'g'))].map((match) => match.slice(1));

const inServices = allOf(`docker compose ((?:-f \\S+ )*)exec (?:-\\S+ )*(\\w\\S*) (\\S+) ?${REST}`);
const inPods = allOf(`kubectl (?:-n (?:\\S+|{{[^}]*}}) )?exec (?:-\\S+ )*(\\w\\S*) -- (\\S+) ?${REST}`);
const inNewContainers = allOf(`docker run [^\\n]*?llm-serve:(?:slim|full) ?${REST}`);

/** What can be called by its name in a container. */
const links = new Map(
  [...dockerfile.matchAll(/ln -s (\S+) \/usr\/local\/bin\/(\S+)/g)].map(([, target, name]) => [name, target]),
);

describe('commands in containers', () => {
  it('are found', () => {
    expect(inServices.length).toBeGreaterThanOrEqual(4);
    expect(inPods.length).toBeGreaterThanOrEqual(4);
    expect(inNewContainers.length).toBeGreaterThanOrEqual(3);
  });

  it('are on the PATH of the image: the program that its entry point runs', () => {
    const entry = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(dockerfile)?.[1] ?? '[]') as string[];
    expect(links.get('llm-serve')).toBe(entry[1]);
    expect(`/app/${(JSON.parse(readText('package.json')) as PackageFile).bin['llm-serve']}`).toBe(entry[1]);
    for (const command of [...inServices.map((words) => words[2]), ...inPods.map((words) => words[1])])
      expect([...links.keys()], command).toContain(command);
  });

  it('name services of their Compose file', () => {
    for (const [flags = '', service = ''] of inServices) {
      const named = [...flags.matchAll(/-f (\S+)/g)].map(([, file = '']) => file);
      const services = (named.length === 0 ? ['compose.yaml'] : named).flatMap((file) =>
        Object.keys(readCompose(file).services),
      );
      expect(services, service).toContain(service);
    }
  });

  it('name Deployments that the chart makes, by each set of values', () => {
    for (const [workload = ''] of inPods)
      for (const set of VALUE_SETS) {
        const deployments = renderedObjects(set).filter(({ kind }) => kind === 'Deployment');
        expect(deployments.map(({ metadata }) => `deploy/${metadata.name}`)).toContain(workload);
      }
  });

  it('are commands of the program, with options that it has', async () => {
    const program = await buildProgram(() => {});
    const lines = [
      ...inServices.map((words) => words[3] ?? ''),
      ...inPods.map((words) => words[2] ?? ''),
      ...inNewContainers.map(([line = '']) => line),
    ];
    for (const line of lines) {
      const words = line
        .replaceAll(/{{[^}]*}}/g, '')
        .trim()
        .split(/\s+/)
        .filter(Boolean);
      let command: Command = program;
      while (words[0] !== undefined) {
        const next = command.commands.find((each) => each.name() === words[0]);
        if (next === undefined) break;
        command = next;
        words.shift();
      }
      if (command === program) expect(words, line).toEqual([]);
      else expect(command.commands, `${line} goes on`).toEqual([]);
      const options = command.options.map(({ long }) => long);
      for (const flag of words.filter((word) => word.startsWith('--'))) expect(options, line).toContain(flag);
    }
  });
});

interface PackageFile {
  readonly bin: Readonly<Record<string, string>>;
}
