// One contestant under one load, with the backend of service.mjs; the loop is the product's (src/simulation/simulate.ts).
import { SharedBackend } from './shared-backend.mjs';

const { simulate: run } = await import('../../dist/simulation/simulate.js');

/** `backend`: its parameters (service.mjs); `createContestant`: makes one for it; `jobs` and `follow`: as in simulate.ts. */
export function simulate({ backend: parameters, createContestant, jobs, follow }) {
  const backend = new SharedBackend(parameters);
  return run({ backend, contestant: createContestant(parameters), jobs, ...(follow && { follow }) });
}
