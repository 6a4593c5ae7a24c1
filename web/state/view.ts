/** Which view is shown, by the address after `#`: `#/chat`, `#/live`, `#/admin/keys`. */
import { createStore } from './store.ts';

export const VIEWS = ['chat', 'live', 'admin'] as const;
export type View = (typeof VIEWS)[number];

export const view = createStore<View>(viewAt(location.hash));
window.addEventListener('hashchange', () => view.set(viewAt(location.hash)));

function viewAt(hash: string): View {
  const name = hash.replace(/^#\/?/, '').split(/[/?]/)[0];
  return VIEWS.find((each) => each === name) ?? 'chat';
}
