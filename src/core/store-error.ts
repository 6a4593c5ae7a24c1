/** How the database fails: thrown by what keeps it, and understood by those who only know its ports. */

/**
 * `unavailable`: it can't be reached, is locked, or answered too late. `refused`: it does not let us in, or does not let us write.
 * `changed`: what was to be changed is not as it was read.
 * `full`: no space is left. `corrupt`: it is not, or is no longer, a database of ours. `too_new`: a newer version of llm-serve wrote it.
 * `too_old`: an older one did, and what only reads does not change that.
 */
export type StoreFault =
  | 'unavailable'
  | 'refused'
  | 'full'
  | 'corrupt'
  | 'too_new'
  | 'too_old'
  | 'name_taken'
  | 'secret_taken'
  | 'changed';

export class StoreError extends Error {
  readonly fault: StoreFault;

  /** `message`: for operators; it names the store without its password. */
  constructor(fault: StoreFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

/** The configuration names it wrongly. */
export class StoreAddressError extends StoreError {
  constructor(message: string) {
    super('refused', message);
  }
}
