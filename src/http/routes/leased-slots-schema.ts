/** The slots of a shared target that this server has by a lease: one shape in GET /ready, GET /live and GET /admin/targets. */
import { Type } from 'typebox';

export const LeasedSlots = Type.Object(
  {
    slots: Type.Integer({ description: 'This server may give so many now.' }),
    basis: Type.Enum(['lease', 'even_share', 'none'], {
      description:
        'even_share: without a lease, as the lease store cannot be asked; none: none may be given.',
    }),
    replicas: Type.Integer({ description: 'Servers that share it, as last seen; 0: not known yet.' }),
    target_slots: Type.Integer({
      description: 'As many as it has for all of them together; 0: not known yet.',
    }),
    even_share: Type.Union([Type.Integer(), Type.Null()], {
      description:
        'It would use so many if the store could not be asked; null: none, as it does not know yet how many share.',
    }),
  },
  { description: 'Only with leases.store.' },
);
