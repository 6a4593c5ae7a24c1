/** Which models there are and which one answers: read when the page begins, and again when the server was gone or has other models. */
import { type ApiFailure, asFailure, mayBeGone } from '../api/failure.ts';
import { createStore } from '../state/store.ts';
import { abilities, conversation, models, modelsFailure, notice } from './chat-state.ts';
import { abilitiesOf, listModels, type ModelEntry } from './models.ts';
import { serverIsBack } from './server-watch.ts';

const LAST_MODEL = 'llm-serve.model';
/** Asked one after the other which of them answers, where none was chosen before. */
const MOST_ASKED = 8;

/** Ends the reading that is under way. */
const reading = createStore<AbortController | undefined>(undefined);

/** Waits for a server that is not there. Where they cannot be read, `modelsFailure` says why. */
export async function loadModels(): Promise<void> {
  reading.get()?.abort();
  const abort = new AbortController();
  reading.set(abort);
  const list = await readList(abort.signal);
  if (abort.signal.aborted || list === undefined) return;
  models.set(list);
  modelsFailure.set(undefined);
  await fitModel(list);
}

async function readList(signal: AbortSignal): Promise<readonly ModelEntry[] | undefined> {
  for (let atOnce = 0; ; ) {
    let failure: ApiFailure;
    try {
      return await listModels(signal);
    } catch (thrown) {
      failure = asFailure(thrown);
    }
    if (signal.aborted) return undefined;
    if (failure.code === 'unreachable' || (failure.status > 0 && mayBeGone(failure))) {
      if (!(await serverIsBack(signal))) atOnce += 1;
      if (signal.aborted) return undefined;
      // Else it is there and does not answer to this: asking on would not end.
      if (atOnce < 2) continue;
    }
    modelsFailure.set(failure);
    return undefined;
  }
}

/** Chooses a model that is served: the conversation's own, the one that was chosen last, or the first that answers. */
export async function fitModel(list: readonly ModelEntry[]): Promise<void> {
  const { id, model } = conversation.get();
  const wanted = model === '' ? remembered() : model;
  const chosen = list.find((each) => each.id === wanted)?.id ?? (await firstThatAnswers(list));
  if (conversation.get().id !== id || conversation.get().model !== model) return;
  if (chosen !== model) {
    conversation.update((current) => ({ ...current, model: chosen }));
    if (model !== '' && chosen !== '')
      notice.set(`${model} is not served here. ${chosen} answers from now on.`);
  }
  await loadAbilities(chosen);
}

export function chooseModel(model: string): void {
  conversation.update((current) => ({ ...current, model }));
  remember(model);
  void loadAbilities(model);
}

/** Empty: there is none at all. */
async function firstThatAnswers(list: readonly ModelEntry[]): Promise<string> {
  for (const { id } of list.slice(0, MOST_ASKED)) {
    const can = await abilitiesOf(id).catch(() => undefined);
    if (can?.chat !== false) return id;
  }
  return list[0]?.id ?? '';
}

async function loadAbilities(model: string): Promise<void> {
  abilities.set(undefined);
  if (model === '') return;
  const found = await abilitiesOf(model).catch(() => undefined);
  if (conversation.get().model === model) abilities.set(found);
}

function remember(model: string): void {
  try {
    localStorage.setItem(LAST_MODEL, model);
  } catch {
    // Storage is off.
  }
}

function remembered(): string {
  try {
    return localStorage.getItem(LAST_MODEL) ?? '';
  } catch {
    return '';
  }
}
