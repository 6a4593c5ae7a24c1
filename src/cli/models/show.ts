/** `llm-serve models show`: what the header of a model file says, and what is known of the file. */
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { cachePaths, readStamp, vouchesFor } from '../../models/cached-file.ts';
import { describeGguf, type GgufDescription } from '../../models/gguf-description.ts';
import { locateModel } from '../../models/located-model.ts';
import { readModelFile } from '../../models/model-file.ts';
import type { Flags } from '../flags.ts';
import { cacheDirectoryOf } from './cache-directory.ts';
import { readName } from './name-argument.ts';
import { printJson, printLine, sizeText } from './print.ts';

export async function showModel(name: string, flags: Flags, asJson: boolean): Promise<number> {
  const reference = readName(name);
  const { path, header } = await readModelFile(await locateModel(reference, cacheDirectoryOf(flags)));
  const description = describeGguf(header);
  const stamp = await readStamp(cachePaths({ fileName: basename(path) }, dirname(path)).stamp);
  const checked = stamp !== undefined && vouchesFor(stamp, await stat(path));
  const entry = reference.kind === 'catalogue' ? reference.entry : undefined;
  const facts = {
    path,
    size_bytes: header.sizeBytes,
    gguf_version: header.version,
    sha256: entry?.sha256 ?? stamp?.sha256 ?? null,
    sha256_published: entry !== undefined || (stamp?.published ?? false),
    sha256_checked: checked,
    license: entry?.license ?? description.license ?? null,
    ...toJson(description),
  };
  if (asJson) printJson(facts);
  else for (const [label, text] of rows(facts)) printLine(`${label.padEnd(16)} ${text}`);
  return 0;
}

type Facts = ReturnType<typeof toJson> & {
  readonly path: string;
  readonly size_bytes: number;
  readonly gguf_version: number;
  readonly sha256: string | null;
  readonly sha256_published: boolean;
  /** The file has not changed since that checksum was taken. */
  readonly sha256_checked: boolean;
  readonly license: string | null;
};

function toJson(description: GgufDescription) {
  return {
    architecture: description.architecture ?? null,
    title: description.title ?? null,
    parameters: description.parameters,
    file_type: description.fileType ?? null,
    context_length: description.contextLength ?? null,
    embedding_length: description.embeddingLength ?? null,
    pooling: description.pooling ?? null,
    chat_template: description.hasChatTemplate,
    chat_template_tools: description.templateKnowsTools,
    tokenizer: description.tokenizer ?? null,
    vocabulary_size: description.vocabularySize ?? null,
    abilities: description.abilities,
  };
}

function rows(facts: Facts): [string, string | number][] {
  const template = facts.chat_template_tools ? 'yes, knows tools' : 'yes, knows no tools';
  const origin = facts.sha256_published ? '' : ', as it was when it came; none was published';
  const checksum = origin + (facts.sha256_checked ? '' : '; not compared since the file changed');
  return [
    ['title', facts.title ?? 'not said'],
    ['architecture', facts.architecture ?? 'not said'],
    ['parameters', parametersText(facts.parameters)],
    ['quantization', facts.file_type ?? 'not said'],
    ['trained context', facts.context_length ?? 'not said'],
    ['embedding length', facts.embedding_length ?? 'not said'],
    ['embeddings', facts.pooling === null ? 'no pooling: made to generate' : `pooling ${facts.pooling}`],
    ['chat template', facts.chat_template ? template : 'no'],
    [
      'tokenizer',
      facts.tokenizer === null ? 'not said' : `${facts.tokenizer}, ${facts.vocabulary_size ?? '?'} tokens`,
    ],
    ['licence', facts.license ?? 'not said'],
    ['size', `${sizeText(facts.size_bytes)} (${facts.size_bytes} bytes), GGUF version ${facts.gguf_version}`],
    ['sha256', facts.sha256 === null ? 'not taken yet' : `${facts.sha256}${checksum}`],
    ['path', facts.path],
  ];
}

function parametersText(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(2)} billion`;
  return `${(count / 1e6).toFixed(1)} million`;
}
