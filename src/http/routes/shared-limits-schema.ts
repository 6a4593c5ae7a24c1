/** Limits that servers share: one shape in GET /ready and GET /live. */
import { Type } from 'typebox';

export const SharedLimits = Type.Object(
  {
    store: Type.Enum(['up', 'away'], {
      description: 'away: it cannot be asked, and limits are decided as `on_failure` says.',
    }),
    on_failure: Type.Enum(['local', 'open', 'closed'], { description: 'As limits.on_failure.' }),
    replicas: Type.Integer({ description: 'Servers that share them, as last seen.' }),
  },
  { description: 'Only with limits.store.' },
);
