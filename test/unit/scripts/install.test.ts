/** What `npm start` installs: when it does, for which GPUs, and what it says meanwhile. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

interface LockEntry {
  readonly name?: string;
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly optional?: boolean;
  readonly devOptional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

interface Output {
  readonly isTTY: boolean;
  write(text: string): void;
}

interface Scripts {
  isInstalled(lock: Lock, installed: Lock | undefined): boolean;
  packagesHere(
    lock: Lock,
    machine: { readonly platform: string; readonly arch: string; readonly libc: string },
  ): string[];
  gpusHere(machine: {
    readonly platform: string;
    readonly env: Readonly<Record<string, string>>;
    has(path: string): boolean;
  }): string[];
  wantedKinds(setting: string | undefined, here: readonly string[]): string[];
  withProgress<T>(
    what: string,
    howFar: () => string,
    run: () => Promise<T>,
    out: Output,
    now: () => number,
  ): Promise<T>;
}

const root = fileURLToPath(new URL('../../../', import.meta.url));

async function script(name: string): Promise<Scripts> {
  return (await import(`${root}scripts/${name}.mjs`)) as Scripts;
}

const { isInstalled, packagesHere } = await script('install');
const { gpusHere, wantedKinds } = await script('engine-builds');
const { withProgress } = await script('progress');
const lock = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')) as Lock;

describe('dependencies are installed', () => {
  const wanted: Lock = {
    packages: {
      '': {},
      'node_modules/a': { version: '1.0.0' },
      'node_modules/b': { version: '2.0.0', optional: true },
      'node_modules/c': { link: true, resolved: 'scripts/c' },
      'scripts/c': { version: '1.0.0' },
    },
  };

  it('where a package of the lock file is missing, or is there in another version', () => {
    expect(isInstalled(wanted, undefined)).toBe(false);
    expect(isInstalled(wanted, { packages: {} })).toBe(false);
    expect(isInstalled(wanted, { packages: { 'node_modules/a': { version: '0.9.0' } } })).toBe(false);
  });

  it('and not again, whatever the dates of the files are; what is optional may have been left out', () => {
    expect(isInstalled(wanted, { packages: { 'node_modules/a': { version: '1.0.0' } } })).toBe(true);
  });

  it('and counted without those of other platforms', () => {
    const packages = {
      'node_modules/a': {},
      'node_modules/mac': { os: ['darwin'] },
      'node_modules/arm': { os: ['linux'], cpu: ['arm64'] },
      'node_modules/musl': { os: ['linux'], libc: ['musl'] },
      'scripts/c': {},
    };
    expect(packagesHere({ packages }, { platform: 'linux', arch: 'x64', libc: 'glibc' })).toEqual([
      'node_modules/a',
    ]);
  });
});

describe('the lock file', () => {
  it('names no registry', () => {
    const addresses = Object.values(lock.packages).filter(({ resolved }) => resolved?.includes('://'));
    expect(addresses).toEqual([]);
  });

  it('has the engine’s builds of every platform, so that npm ci takes it', () => {
    const builds = Object.keys(lock.packages['node_modules/node-llama-cpp']?.optionalDependencies ?? {});
    expect(builds.length).toBeGreaterThan(10);
    expect(builds.filter((name) => lock.packages[`node_modules/${name}`] === undefined)).toEqual([]);
  });

  it('installs no build for GPUs by itself, but Metal’s, which is that of the CPU as well', () => {
    const gpus = Object.entries(lock.packages).filter(([name]) => /-(cuda|cuda-ext|vulkan)$/.test(name));
    expect(gpus).toHaveLength(6);
    for (const [, entry] of gpus) expect(entry).toMatchObject({ name: 'reusify', optional: true });
  });
});

describe('builds for GPUs', () => {
  const linux = (...paths: readonly string[]) =>
    gpusHere({ platform: 'linux', env: {}, has: (path) => paths.includes(path) });

  it('are fetched for what this machine has', () => {
    expect(linux()).toEqual([]);
    expect(linux('/dev/nvidia0')).toEqual(['cuda']);
    expect(linux('/usr/lib/x86_64-linux-gnu/libvulkan.so.1', '/dev/dri')).toEqual(['vulkan']);
    expect(linux('/dev/nvidia0', '/usr/lib64/libvulkan.so.1')).toEqual(['cuda', 'vulkan']);
  });

  it('are not fetched for a Vulkan loader without a device, which finds software only', () => {
    expect(linux('/usr/lib/libvulkan.so.1')).toEqual([]);
  });

  it('are fetched on Windows for the drivers in its system folder', () => {
    const has = (path: string) => path.includes('System32') && path.endsWith('nvcuda.dll');
    expect(gpusHere({ platform: 'win32', env: { SystemRoot: 'C:\\Windows' }, has })).toEqual(['cuda']);
  });

  it('are those of LLM_ENGINE_BUILDS where it is set', () => {
    expect(wantedKinds(undefined, ['cuda'])).toEqual(['cuda']);
    expect(wantedKinds('auto', ['vulkan'])).toEqual(['vulkan']);
    expect(wantedKinds('cpu', ['cuda'])).toEqual([]);
    expect(wantedKinds('cpu, vulkan', ['cuda'])).toEqual(['vulkan']);
    expect(wantedKinds('all', [])).toEqual(['cuda', 'vulkan']);
    expect(() => wantedKinds('gpu', [])).toThrow(
      'LLM_ENGINE_BUILDS names "gpu", but must list some of: auto, cpu, cuda, vulkan, all.',
    );
  });
});

describe('progress', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  async function shown(isTTY: boolean, ms: number): Promise<string> {
    let text = '';
    let packages = 0;
    const wait = () => new Promise<void>((resolve) => void setTimeout(resolve, ms));
    const out = {
      isTTY,
      write(piece: string) {
        text += piece;
      },
    };
    const done = withProgress('Installing', () => `${++packages} of 9 packages`, wait, out, Date.now);
    await vi.advanceTimersByTimeAsync(ms);
    await done;
    return text;
  }

  it('is one line on a terminal, which counts the seconds', async () => {
    const text = await shown(true, 2500);
    expect(text.split('\r\x1b[2K')).toEqual([
      'Installing…',
      'Installing: 1 of 9 packages, 1 s',
      'Installing: 2 of 9 packages, 2 s',
      'Installing: 3 of 9 packages, 3 s, done\n',
    ]);
  });

  it('is a line every ten seconds elsewhere', async () => {
    expect(await shown(false, 25_000)).toBe(
      'Installing…\nInstalling: 1 of 9 packages, 10 s\nInstalling: 2 of 9 packages, 20 s\n' +
        'Installing: 3 of 9 packages, 25 s, done\n',
    );
  });
});
