/** Whether the user lets the model leave memory when idle. */
export function mayUnload(keepAlive: number | string): boolean {
  return typeof keepAlive === 'number' ? keepAlive >= 0 : !keepAlive.startsWith('-');
}
