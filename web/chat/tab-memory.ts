/** What a tab has after it was loaded again: the conversation that was open, and what was written but not sent. In its session storage. */
import type { Conversation } from './conversation.ts';
import { isObject, type Settings } from './settings.ts';
import { readSettings } from './transfer.ts';

const OPEN = 'llm-serve.open';
const TEXT = 'llm-serve.draft';
const WRITTEN = 'llm-serve.written';
const IMAGES = 'llm-serve.draft-images';

export interface OpenConversation {
  readonly id: string;
  /** Of a conversation without messages, which is stored nowhere else. */
  readonly settings: Settings | undefined;
}

export function rememberOpen({ id, messages, settings }: Conversation): void {
  const isEmpty = Object.keys(messages).length === 0;
  write(OPEN, JSON.stringify({ id, ...(isEmpty && { settings }) }));
}

export function rememberedOpen(): OpenConversation | undefined {
  const stored = parsed(OPEN);
  if (!isObject(stored) || typeof stored.id !== 'string') return undefined;
  const settings = isObject(stored.settings) ? readSettings(stored.settings, OPEN) : undefined;
  return { id: stored.id, settings };
}

export function rememberText(text: string): void {
  write(TEXT, text);
}

export function rememberedText(): string {
  return read(TEXT) ?? '';
}

export function rememberWritten(written: Readonly<Record<string, string>>): void {
  write(WRITTEN, JSON.stringify(written));
}

export function rememberedWritten(): Readonly<Record<string, string>> {
  const stored = parsed(WRITTEN);
  if (!isObject(stored)) return {};
  return Object.fromEntries(
    Object.entries(stored).flatMap(([key, text]) => (typeof text === 'string' ? [[key, text]] : [])),
  );
}

/** Where they are too large for the storage, they last as long as the page. */
export function rememberImages(images: readonly string[]): void {
  write(IMAGES, JSON.stringify(images));
}

export function rememberedImages(): readonly string[] {
  const stored = parsed(IMAGES);
  return Array.isArray(stored) ? stored.filter((each) => typeof each === 'string') : [];
}

function parsed(key: string): unknown {
  try {
    return JSON.parse(read(key) ?? 'null');
  } catch {
    return undefined;
  }
}

function read(key: string): string | undefined {
  try {
    return sessionStorage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

function write(key: string, value: string): void {
  try {
    sessionStorage.removeItem(key);
    sessionStorage.setItem(key, value);
  } catch {
    // Storage is off or full: it lasts as long as the page.
  }
}
