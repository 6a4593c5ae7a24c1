/** A request as the gate of limits sees it, and settings without any limit. */
import type { ConsumedTry, Consumption } from '../../src/core/consumption.ts';
import type { RequestContext } from '../../src/http/context.ts';
import type { LimitSettings } from '../../src/limits/limit-plan.ts';
import type { PendingAdmission } from '../../src/serving/pending-admission.ts';

export const LIMITED_PATH = '/generate';

export const NO_LIMITS: LimitSettings = {
  rateLimit: undefined,
  all: {},
  perKey: {},
  perTeam: {},
  perAddress: {},
  perModel: {},
  keys: {},
  teams: {},
  models: {},
};

/** What the gate sees of a request. */
export function limitedRequest() {
  const headers = new Map<string, string>();
  const ends: (() => void)[] = [];
  const seen = {
    routePath: LIMITED_PATH,
    match: { route: { asksModel: true } },
    awaitsContinue: false,
    pendingLimits: undefined as PendingAdmission | undefined,
    onRefusal: undefined,
    caller: undefined,
    addressKey: '1.2.3.4',
    limits: undefined,
    isClosed: false,
    trace: { consumed: undefined as undefined | Pick<Consumption, 'tries' | 'triesSoFar'> },
    onClose: (end: () => void) => void ends.push(end),
    setLimitHeaders: (all: readonly string[]) => {
      for (let at = 0; at < all.length; at += 2) headers.set(all[at] ?? '', all[at + 1] ?? '');
    },
  };
  const used = (...tries: readonly (readonly [model: string, prompt: number, answer: number])[]) => {
    const all = tries.map(([model, promptTokens, completionTokens]) => ({
      ...{ model: model as ConsumedTry['model'], target: 't', slotMs: 1, cachedTokens: 0 },
      ...{ promptTokens, completionTokens },
    }));
    const sum = (of: 'promptTokens' | 'completionTokens') => all.reduce((total, each) => total + each[of], 0);
    const consumed = {
      tries: all,
      triesSoFar: () => all,
      promptTokens: sum('promptTokens'),
      completionTokens: sum('completionTokens'),
    };
    seen.trace.consumed = consumed;
  };
  const leave = () => {
    seen.isClosed = true;
    for (const end of ends) end();
  };
  return { context: seen as unknown as RequestContext, headers, used, leave };
}
