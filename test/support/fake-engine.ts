/** Engine processes that do what a test says: a script for each, in a folder that is removed after the file's tests. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { EngineGenerationRequest, EngineSettings } from '../../src/backends/llama-cpp/messages.ts';
import type { Log, LogFields } from '../../src/core/log.ts';

export const FAKE_SETTINGS: EngineSettings = {
  modelPath: 'a.gguf',
  contextSize: 64,
  sequences: 1,
  chatTemplate: 'chatml',
  gpu: 'off',
  flashAttention: true,
};

/** Nothing but the likeliest token. */
export const GREEDY: EngineGenerationRequest['sampling'] = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repeatPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
};

export const FAKE_GENERATION: Omit<EngineGenerationRequest, 'id'> = {
  input: { kind: 'text', prompt: 'a' },
  sampling: GREEDY,
  limits: { stop: [] },
  thinking: false,
};

/** Statements for scripts. */
export const LOADED = `process.send({ type: 'loaded', contextSize: 64, abilities: ['generate'] });`;
export const FINISH = `process.send({ type: 'events', events: [{ id: message.generation.id, event: { type: 'finish', reason: 'stop', usage: {} } }] });`;

/** Of a script: ends it with its parent, also while it is blocked. Not by the built lifeline: a build beside the tests replaces dist. */
const TIE_TO_PARENT = `
  import { Worker } from 'node:worker_threads';
  const watch = \`
    const { Socket } = require('node:net');
    const parent = new Socket({ fd: 0, readable: true, writable: false });
    parent.on('error', () => {});
    parent.on('close', () => process.kill(process.pid, 'SIGKILL'));
    parent.resume();
  \`;
  new Worker(watch, { eval: true }).unref();`;

/**
 * To be called where tests are collected. What it gives writes a script and answers with its path; `onMessage` is the
 * body of a function that gets `message`. The script ends when ordered to, or when its parent has gone.
 */
export function fakeEngines(): (onMessage: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'fake-engine-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  let count = 0;
  return (onMessage) => {
    count += 1;
    const path = join(folder, `${count}.mjs`);
    writeFileSync(
      path,
      `${TIE_TO_PARENT}
       process.on('message', (message) => {
         if (message.type === 'shutdown') process.exit(0);
         ${onMessage}
       });
       process.send({ type: 'hello' });`,
    );
    return path;
  };
}

export interface RecordedLine {
  readonly level: keyof Log;
  readonly message: string;
  readonly fields: LogFields;
}

export function recordingLog(): { readonly log: Log; readonly lines: RecordedLine[] } {
  const lines: RecordedLine[] = [];
  const at =
    (level: keyof Log) =>
    (message: string, fields: LogFields = {}) =>
      void lines.push({ level, message, fields });
  return { log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }, lines };
}
