/** Time that this process has computed: what else the machine does meanwhile is not in it. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
