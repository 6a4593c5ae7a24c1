/** The template of docs/how-to/add-a-backend.md keeps the promises that it explains. */
import { EchoBackend, echo } from '../../examples/backend/echo.ts';
import { defaultsOf } from '../support/stand-ins/default-keys.ts';
import { BEYOND_TEXT, describeBackend, EMBEDDING, skipAll } from './backend-contract.ts';

describeBackend('echo, the example', {
  start: async () => ({
    backend: new EchoBackend({ ...defaultsOf(echo), model: 'echo' }),
    model: 'echo',
    stop: async () => {},
  }),
  skip: {
    ...skipAll(BEYOND_TEXT, 'it has nothing but words'),
    ...skipAll(EMBEDDING, 'it does not embed'),
  },
});
