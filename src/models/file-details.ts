/** Facts of a model's file that cost little: its header, its size, and a checksum that was taken before. Nothing is hashed. */
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { knownDetails, type ModelDetails } from '../core/model-details.ts';
import { cachePaths, readStamp, vouchesFor } from './cached-file.ts';
import { findModel } from './catalog.ts';
import { describeGguf } from './gguf-description.ts';
import { readModelFile } from './model-file.ts';

const BILLION = 1e9;
const MILLION = 1e6;
const THOUSAND = 1e3;

/** `model`: any form of its name, of which `path` is the file, checked. Throws as `readModelFile` does. */
export async function fileDetails(model: string, path: string): Promise<ModelDetails> {
  const { header } = await readModelFile(path);
  const { architecture, parameters, fileType, contextLength, embeddingLength } = describeGguf(header);
  return knownDetails({
    digest: findModel(model)?.sha256 ?? (await checksumTaken(path)),
    sizeBytes: header.sizeBytes,
    format: 'gguf',
    family: architecture,
    families: architecture === undefined ? undefined : [architecture],
    parameterSize: parameterText(parameters),
    quantization: fileType,
    trainedContextSize: contextLength,
    embeddingLength,
  });
}

/** When the file was fetched; undefined where it was not, or has changed since. */
async function checksumTaken(path: string): Promise<string | undefined> {
  const stamp = await readStamp(cachePaths({ fileName: basename(path) }, dirname(path)).stamp);
  return stamp !== undefined && vouchesFor(stamp, await stat(path)) ? stamp.sha256 : undefined;
}

/** As Ollama writes it: `3.2B`, `134.52M`. */
function parameterText(count: number): string | undefined {
  if (count >= BILLION) return `${trimmed(count / BILLION, 1)}B`;
  if (count >= MILLION) return `${trimmed(count / MILLION, 2)}M`;
  if (count >= THOUSAND) return `${trimmed(count / THOUSAND, 0)}K`;
  return count > 0 ? String(count) : undefined;
}

function trimmed(value: number, decimals: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(decimals);
}
