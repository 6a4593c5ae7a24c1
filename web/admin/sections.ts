/** The sections of the Admin view, by the address after `#/admin/`. */
import { createStore } from '../state/store.ts';

export const SECTIONS = ['keys', 'limits', 'usage', 'targets', 'queue', 'configuration', 'audit'] as const;
export type SectionName = (typeof SECTIONS)[number];

export const SECTION_TITLES: Readonly<Record<SectionName, string>> = {
  keys: 'Keys',
  limits: 'Limits',
  usage: 'Usage',
  targets: 'Targets',
  queue: 'Queue',
  configuration: 'Configuration',
  audit: 'Audit log',
};

export function sectionAt(hash: string): SectionName {
  const name = hash.replace(/^#\/?/, '').split(/[/?]/)[1];
  return SECTIONS.find((each) => each === name) ?? 'keys';
}

export const section = createStore<SectionName>(sectionAt(location.hash));
window.addEventListener('hashchange', () => section.set(sectionAt(location.hash)));

/** What the last action did, for the line above the section. Never a secret. */
export const announcement = createStore('');
