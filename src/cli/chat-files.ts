/** What chats keep on the disk: lines that were entered, for the arrow keys, and conversations that were saved. For their user only. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { stateDirectory } from '../config/environment.ts';
import { readSavedChat, type SavedChat } from './chat-session.ts';

const OWNER_ONLY = 0o600;
const OWNER_ONLY_FOLDER = 0o700;
const MAX_LINES = 1000;

/** Lines of earlier chats, the oldest first. A folder that cannot be written is no reason not to chat: then nothing is kept. */
export class ChatHistory {
  readonly #path: string | undefined;
  readonly lines: readonly string[];

  /** `keeps`: false reads and writes nothing. */
  constructor({ keeps }: { readonly keeps: boolean }) {
    this.#path = keeps ? join(stateDirectory(), 'chat-history') : undefined;
    this.lines = this.#path === undefined ? [] : readLines(this.#path);
  }

  /** As in shells, a line that begins with a space is not kept. */
  add(line: string): void {
    if (this.#path === undefined || line.trim() === '' || line.startsWith(' ')) return;
    try {
      appendFileSync(this.#path, `${line}\n`, { mode: OWNER_ONLY });
    } catch {
      // See above.
    }
  }
}

function readLines(path: string): readonly string[] {
  try {
    mkdirSync(stateDirectory(), { recursive: true, mode: OWNER_ONLY_FOLDER });
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
    const kept = lines.slice(-MAX_LINES);
    if (lines.length > 2 * MAX_LINES) writeFileSync(path, `${kept.join('\n')}\n`, { mode: OWNER_ONLY });
    return kept;
  } catch {
    return [];
  }
}

/** Answers the path. A file that is no conversation is not overwritten. */
export function saveChat(file: string, chat: SavedChat): string {
  const path = expanded(file);
  if (existsSync(path) && typeof readSavedChat(readFileSync(path, 'utf8')) === 'string')
    throw new Error(`${file} exists and is no saved conversation; it is left as it is.`);
  writeFileSync(path, `${JSON.stringify(chat, null, 2)}\n`, { mode: OWNER_ONLY });
  return path;
}

export function loadChat(file: string): SavedChat {
  const chat = readSavedChat(readFileSync(expanded(file), 'utf8'));
  if (typeof chat === 'string') throw new Error(`${file} is no saved conversation: ${chat}.`);
  return chat;
}

/** No shell has replaced `~`. */
function expanded(file: string): string {
  return file.startsWith('~/') ? join(homedir(), file.slice(2)) : file;
}
