/**
 * How many cores this process may really use: those its affinity allows, or fewer where a CPU quota of its control
 * group says so (a container's limit). Pure: whoever calls reads the files. Invariant: at least 1, and whole cores,
 * rounded down: the threads of a decode step wait for each other, and one over the quota has all of them, and the API
 * beside them, stopped for the rest of every period.
 */
export interface CoreSources {
  /** Cores that the affinity mask allows. */
  readonly available: number;
  /** A file's text; undefined where it is not there or may not be read. */
  readonly readFile: (path: string) => string | undefined;
}

export interface CpuQuota {
  /** Cores that the quota is worth; rarely a whole number. */
  readonly cores: number;
  /** The file that says so. */
  readonly file: string;
}

export interface UsableCores {
  readonly cores: number;
  readonly available: number;
  /** The tightest quota, where it leaves less than the affinity does. */
  readonly quota?: CpuQuota;
}

export function usableCores(sources: CoreSources): UsableCores {
  const { available } = sources;
  const [tightest] = cpuQuotas(sources.readFile).sort((a, b) => a.cores - b.cores);
  if (tightest === undefined || tightest.cores >= available) return { cores: available, available };
  return { cores: Math.max(1, Math.floor(tightest.cores)), available, quota: tightest };
}

/** "/proc/self/cgroup" has a line for each hierarchy: number, controllers, path; version 2 names no controllers. */
interface Membership {
  readonly version: 1 | 2;
  readonly path: string;
}

interface Mount {
  readonly version: 1 | 2;
  /** The group that is seen at the mount point. */
  readonly root: string;
  readonly point: string;
}

function cpuQuotas(readFile: CoreSources['readFile']): CpuQuota[] {
  const memberships = parseMemberships(readFile('/proc/self/cgroup') ?? '');
  const mounts = parseMounts(readFile('/proc/self/mountinfo') ?? '');
  return memberships.flatMap(({ version, path }) =>
    mounts
      .filter((mount) => mount.version === version)
      .flatMap((mount) => foldersUpwards(mount, path))
      .flatMap((folder) => (version === 2 ? readVersion2(folder, readFile) : readVersion1(folder, readFile))),
  );
}

function parseMemberships(text: string): Membership[] {
  return text.split('\n').flatMap((line): Membership[] => {
    const [number, controllers, ...path] = line.split(':');
    if (number === undefined || controllers === undefined || path.length === 0) return [];
    if (controllers === '') return [{ version: 2, path: path.join(':') }];
    return controllers.split(',').includes('cpu') ? [{ version: 1, path: path.join(':') }] : [];
  });
}

/** A line of "/proc/self/mountinfo": …, root, mount point, …, "-", file system, source, options of the file system. */
function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line): Mount[] => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root, point] = before.split(' ');
    const [system, , options = ''] = after.split(' ');
    if (root === undefined || point === undefined) return [];
    const at = { root: unescapeOctal(root), point: unescapeOctal(point) };
    if (system === 'cgroup2') return [{ version: 2, ...at }];
    return system === 'cgroup' && options.split(',').includes('cpu') ? [{ version: 1, ...at }] : [];
  });
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** The process's own group first, then those above it as far as they can be seen: each of them may have a quota. */
function foldersUpwards({ root, point }: Mount, path: string): string[] {
  const names = namesBelow(root, path);
  return Array.from({ length: names.length + 1 }, (_, up) =>
    [point, ...names.slice(0, names.length - up)].join('/').replaceAll('//', '/'),
  );
}

/** A path that is not below what is mounted cannot be seen from here: then the mount's own group has to do. */
function namesBelow(root: string, path: string): string[] {
  const above = root.split('/').filter((name) => name !== '');
  const names = path.split('/').filter((name) => name !== '');
  const isBelow = above.every((name, index) => names[index] === name) && !names.includes('..');
  return isBelow ? names.slice(above.length) : [];
}

/** "150000 100000" is one and a half cores, "max 100000" no limit. */
function readVersion2(folder: string, readFile: CoreSources['readFile']): CpuQuota[] {
  const file = `${folder}/cpu.max`;
  const [quota = '', period = ''] = (readFile(file) ?? '').trim().split(/\s+/);
  return quotaOf({ file, quota, period });
}

/** −1 is no limit. */
function readVersion1(folder: string, readFile: CoreSources['readFile']): CpuQuota[] {
  const file = `${folder}/cpu.cfs_quota_us`;
  return quotaOf({
    file,
    quota: readFile(file) ?? '',
    period: readFile(`${folder}/cpu.cfs_period_us`) ?? '',
  });
}

function quotaOf(from: {
  readonly file: string;
  readonly quota: string;
  readonly period: string;
}): CpuQuota[] {
  const cores = Number(from.quota) / Number(from.period);
  return Number.isFinite(cores) && cores > 0 ? [{ cores, file: from.file }] : [];
}
