/** What is known of the audit log, the newest first and without a hole: pages are joined only where they meet. */
import type { AuditEntry, CallOptions, listAudit } from './api.ts';

export interface KnownEntries {
  readonly entries: readonly AuditEntry[];
  /** There are no older ones. */
  readonly isAll: boolean;
}

const PAGE = 50;
/** As many as the server gives at once: more that are new at a time are where older ones begin to be asked for again. */
const MOST_AT_ONCE = 1_000;
/** Of a log that goes on, unless the person has asked for more. */
const KEPT = 1_000;

export class AuditPages {
  readonly #list: typeof listAudit;
  #known: KnownEntries = { entries: [], isAll: false };
  #kept = KEPT;

  constructor(list: typeof listAudit) {
    this.#list = list;
  }

  /** Asks for the newest, and for those between them and what is known. */
  async newest(options: CallOptions): Promise<KnownEntries> {
    let entries = await this.#list({ limit: PAGE }, options);
    let isAll = entries.length < PAGE;
    if (!isAll && this.#known.entries.length > 0 && !this.#meets(entries)) {
      const between = await this.#list({ limit: MOST_AT_ONCE, ...endOf(entries) }, options);
      entries = [...entries, ...between];
      isAll = between.length < MOST_AT_ONCE;
    }
    // Others may have been read meanwhile: what is known is looked at now.
    const all = this.#meets(entries) ? joined(entries, this.#known.entries) : entries;
    const kept = all.slice(0, this.#kept);
    const isWhole = isAll || (this.#known.isAll && this.#meets(entries));
    this.#known = { entries: kept, isAll: isWhole && kept.length === all.length };
    return this.#known;
  }

  /** Asks for a page before those that are known. */
  async older(options: CallOptions): Promise<KnownEntries> {
    const end = endOf(this.#known.entries);
    const page = await this.#list({ limit: PAGE, ...end }, options);
    // Where what is known was cut, or began anew, meanwhile, this page does not follow it.
    if (endOf(this.#known.entries).before !== end.before) return this.#known;
    const entries = joined(this.#known.entries, page);
    this.#kept = Math.max(KEPT, entries.length);
    this.#known = { entries, isAll: page.length < PAGE };
    return this.#known;
  }

  #meets(page: readonly AuditEntry[]): boolean {
    const newest = this.#known.entries[0];
    const oldest = page.at(-1);
    return newest !== undefined && oldest !== undefined && oldest.at <= newest.at;
  }
}

export function auditKey({ at, actor, action, subject, details }: AuditEntry): string {
  return JSON.stringify([at, actor, action, subject, details]);
}

function endOf(entries: readonly AuditEntry[]): { readonly before?: string } {
  const last = entries.at(-1);
  return last === undefined ? {} : { before: last.at };
}

/** Each once. Of two servers the one whose clock is behind may write an entry between others. */
function joined(newer: readonly AuditEntry[], older: readonly AuditEntry[]): readonly AuditEntry[] {
  const known = new Set(newer.map(auditKey));
  const all = [...newer, ...older.filter((entry) => !known.has(auditKey(entry)))];
  return all.sort((one, other) => (one.at === other.at ? 0 : one.at < other.at ? 1 : -1));
}
