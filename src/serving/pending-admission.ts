/** A request that goes on while its limits are decided elsewhere (decision 0111): what is to wait for them, and what need not. */

/** The limits of a request are being decided, in the process that gives out the slots. */
export interface PendingAdmission {
  /** The number of that decision. */
  readonly call: number;
  /** Resolves when this process knows that it is admitted; rejects with what refuses it. */
  readonly admitted: Promise<void>;
}

/** At once, where nothing is being decided; never, where the request is refused: others hear of that. */
export function onceAdmitted(admission: PendingAdmission | undefined, run: () => void): void {
  if (admission === undefined) run();
  else admission.admitted.then(run, () => {});
}
