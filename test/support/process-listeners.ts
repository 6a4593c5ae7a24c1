/** How many listeners this process has, of all events: those that Node and other tests have are among them. */
export function processListeners(): number {
  return process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
}
