/** The Admin view: keys, limits, usage, targets, the queue, the configuration and the audit log, a section at a time. */
import { useEffect } from 'preact/hooks';
import { type ComponentType, lazyView } from '../lazy-view.tsx';
import { useStore } from '../state/store.ts';
import { AuditSection } from './audit-section.tsx';
import { ConfigurationSection } from './configuration-section.tsx';
import { KeysSection } from './keys/keys-section.tsx';
import { LimitsSection } from './limits-section.tsx';
import { QueueSection } from './queue-section.tsx';
import { announcement, SECTION_TITLES, SECTIONS, type SectionName, section } from './sections.ts';
import { TargetsSection } from './targets-section.tsx';

const SHOWN: Readonly<Record<SectionName, ComponentType>> = {
  keys: KeysSection,
  limits: LimitsSection,
  // With the charts' library, which no other section needs.
  usage: lazyView(async () => (await import('./usage/usage-section.tsx')).UsageSection),
  targets: TargetsSection,
  queue: QueueSection,
  configuration: ConfigurationSection,
  audit: AuditSection,
};

export function AdminView() {
  const current = useStore(section);
  const Shown = SHOWN[current];
  useEffect(() => announcement.set(''), [current]);
  return (
    <div class="admin">
      <h1 class="visually-hidden">Admin</h1>
      <nav class="tabs" aria-label="Sections of Admin">
        {SECTIONS.map((name) => (
          <a
            key={name}
            class="tab"
            href={`#/admin/${name}`}
            aria-current={name === current ? 'page' : undefined}
          >
            {SECTION_TITLES[name]}
          </a>
        ))}
      </nav>
      <Announcement />
      <Shown key={current} />
    </div>
  );
}

/** Always there, so that screen readers hear what is written into it. */
function Announcement() {
  const text = useStore(announcement);
  return (
    <p class="admin-said" role="status">
      {text}
    </p>
  );
}
