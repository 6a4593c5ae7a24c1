import { describe, expect, it } from 'vitest';
import {
  describeDevice,
  GpuFailure,
  LoadFailure,
  loadWeights,
  onDevice,
  openDevice,
} from '../../../../../src/backends/llama-cpp/engine/compute-device.ts';
import type {
  GpuType,
  Library,
  Llama,
  LlamaOptions,
  Model,
  ModelOptions,
} from '../../../../../src/backends/llama-cpp/engine/library.ts';
import type { GpuKind, GpuSetting } from '../../../../../src/backends/llama-cpp/messages.ts';

describe('compute device', () => {
  /** Which device is asked for, what happens where it is not there, and what the log says; the library is played. */

  class NoBinaryFoundError extends Error {}
  class InsufficientMemoryError extends Error {}

  interface Machine {
    /** What the library opens with `auto`. */
    readonly opens?: GpuType;
    readonly drivers?: readonly GpuType[];
    readonly devices?: readonly string[];
    readonly totalLayers?: number;
    /** Layers that fit into the GPU's memory beside the context; −1: not even the context. */
    readonly fit?: number;
    readonly fails?: Error;
    /** The library cannot load a model. */
    readonly loadFails?: boolean;
    /** Failed before. */
    readonly excluded?: readonly GpuKind[];
  }

  function machine({
    opens = false,
    drivers = [],
    devices = [],
    totalLayers = 33,
    fit = 33,
    fails,
    loadFails = false,
  }: Machine = {}) {
    const asked: LlamaOptions[] = [];
    const loads: ModelOptions['gpuLayers'][] = [];
    const llamaFor = (gpu: GpuType): Llama => ({
      gpu,
      getGpuDeviceNames: async () => [...devices],
      loadModel: async ({ gpuLayers, onLoadProgress }) => {
        loads.push(gpuLayers);
        if (loadFails) throw new Error('Failed to load model');
        onLoadProgress();
        const wanted =
          typeof gpuLayers === 'number' ? Math.min(gpuLayers, totalLayers) : Math.min(fit, totalLayers);
        if (wanted < 0 || (wanted > 0 && wanted > fit)) throw new InsufficientMemoryError('Not enough VRAM');
        return { gpuLayers: wanted, fileInsights: { totalLayers } } as Model;
      },
    });
    const library = {
      getLlama: async (options: LlamaOptions) => {
        asked.push(options);
        if (fails) throw fails;
        return llamaFor(options.gpu === false ? false : opens);
      },
      getLlamaGpuTypes: async () => [...drivers, false] as GpuType[],
    } as unknown as Library;
    return { library, asked, loads };
  }

  /** What is asked for and what the log says, of one start; or the error. */
  async function start(gpu: GpuSetting, on: Machine = {}) {
    const { library, asked, loads } = machine(on);
    const threads = { threads: 2, why: 'one per core; 2 cores available' };
    const opened: string[] = [];
    const device = await openDevice(library, {
      gpu,
      excludedGpus: on.excluded ?? [],
      threads: 2,
      logger() {},
      onOpened: (kind) => opened.push(kind),
    });
    let progress = 0;
    const model = await loadWeights(
      device,
      { modelPath: 'a.gguf', contextSize: 2048, sequences: 4 },
      {
        failure: new LoadFailure(),
        onLoadProgress: () => {
          progress += 1;
        },
      },
    );
    const line = describeDevice(device, model, threads);
    return { gpuAsked: asked[0]?.gpu, options: asked[0], opened, loads, line, progress };
  }

  const THREADS = '2 threads (one per core; 2 cores available)';
  const L4: Machine = { opens: 'cuda', drivers: ['cuda'], devices: ['NVIDIA L4'] };

  describe('gpu: off', () => {
    it.each(['off', 0] as const)('as %j asks for the CPU alone, although there is a GPU', async (gpu) => {
      const { gpuAsked, loads, line } = await start(gpu, L4);
      expect(gpuAsked).toBe(false);
      expect(loads).toEqual([0]);
      expect(line).toBe(`computes on the CPU (gpu is ${gpu}), ${THREADS}`);
    });
  });

  describe('gpu: auto', () => {
    it('takes the CPU where there is no GPU, and nothing is ever built or downloaded', async () => {
      const { gpuAsked, options, line, progress } = await start('auto');
      expect(gpuAsked).toEqual({ type: 'auto', exclude: [] });
      expect(options).toMatchObject({ build: 'never', skipDownload: true, maxThreads: 2 });
      expect(line).toBe(`computes on the CPU (no supported GPU was found), ${THREADS}`);
      expect(progress).toBe(1);
    });

    it('says so where there are drivers, but no build of the engine for them', async () => {
      const { line } = await start('auto', { drivers: ['cuda', 'vulkan'] });
      expect(line).toContain(
        'the drivers of CUDA and Vulkan are installed, but no build of the engine for that is installed or runs here',
      );
    });

    it('reports which device it opened before anything is loaded', async () => {
      expect((await start('auto', L4)).opened).toEqual(['cuda']);
      expect((await start('auto')).opened).toEqual(['cpu']);
      expect((await start('off', L4)).opened).toEqual(['cpu']);
    });

    it('does not ask for a GPU that failed before, and says so', async () => {
      const { gpuAsked, line } = await start('auto', { drivers: ['cuda'], excluded: ['cuda', 'vulkan'] });
      expect(gpuAsked).toEqual({ type: 'auto', exclude: ['cuda', 'vulkan'] });
      expect(line).toBe(`computes on the CPU (CUDA and Vulkan failed before the first token), ${THREADS}`);
    });

    it('asks for the CPU on a Mac whose Metal failed, where the library knows no other device', async () => {
      expect((await start('auto', { excluded: ['metal'] })).gpuAsked).toBe(false);
    });

    it('blames the GPU for weights that its memory has no room for, and the file for anything else', async () => {
      const failing = async (gpu: GpuSetting, complaint: string) => {
        const { library } = machine({ ...L4, loadFails: true });
        const device = await openDevice(library, {
          gpu,
          excludedGpus: [],
          threads: 2,
          logger() {},
          onOpened() {},
        });
        const failure = new LoadFailure();
        failure.readLogLine(`llama_model_load: error loading model: ${complaint}`);
        const settings = { modelPath: 'a.gguf', contextSize: 2048, sequences: 4 };
        return loadWeights(device, settings, { failure, onLoadProgress() {} });
      };
      await expect(failing('auto', 'unable to allocate CUDA0 buffer')).rejects.toBeInstanceOf(GpuFailure);
      await expect(failing(20, 'unable to allocate CUDA0 buffer')).rejects.not.toBeInstanceOf(GpuFailure);
      await expect(failing('auto', 'tensor is missing')).rejects.not.toBeInstanceOf(GpuFailure);
    });

    it('puts as many layers on the GPU as fit beside the contexts of all slots', async () => {
      const { loads, line } = await start('auto', L4);
      expect(loads).toEqual([{ fitContext: { contextSize: 8192 } }]);
      expect(line).toBe(`computes on CUDA (NVIDIA L4), 33 of 33 layers (gpu is auto, all fit), ${THREADS}`);
    });

    it('says so where not all layers fit', async () => {
      const { line } = await start('auto', { ...L4, opens: 'vulkan', devices: ['A', 'B'], fit: 12 });
      expect(line).toContain(
        'computes on Vulkan (A, B), 12 of 33 layers (gpu is auto, more do not fit in its free memory)',
      );
    });

    it('leaves the model off a GPU whose memory is full', async () => {
      const { loads, line } = await start('auto', { ...L4, fit: -1 });
      expect(loads).toEqual([{ fitContext: { contextSize: 8192 } }, 0]);
      expect(line).toContain('0 of 33 layers (gpu is auto, more do not fit in its free memory)');
    });
  });

  describe('what is computed on the device', () => {
    const failed = async (gpu: GpuSetting, on: Machine) => {
      const { library } = machine(on);
      const device = await openDevice(library, {
        gpu,
        excludedGpus: [],
        threads: 2,
        logger() {},
        onOpened() {},
      });
      return onDevice(device, () => Promise.reject(new Error('device lost')));
    };

    it('and fails is the failure of the GPU, by its name', async () => {
      const failure = failed('auto', L4);
      await expect(failure).rejects.toBeInstanceOf(GpuFailure);
      await expect(failure).rejects.toThrow('CUDA (NVIDIA L4) failed: device lost');
    });

    it('and fails on the CPU keeps its error as it is', async () => {
      await expect(failed('auto', {})).rejects.toThrow(/^device lost$/);
      await expect(failed('auto', {})).rejects.not.toBeInstanceOf(GpuFailure);
    });
  });

  describe('a build for GPUs that finds none', () => {
    const loaderOnly: Machine = { opens: 'vulkan', drivers: ['vulkan'], devices: [] };

    it('is the CPU', async () => {
      const { loads, line } = await start('auto', loaderOnly);
      expect(loads).toEqual([0]);
      expect(line).toBe(`computes on the CPU (Vulkan is installed, but finds no GPU), ${THREADS}`);
    });

    it('is no GPU for a number of layers', async () => {
      await expect(start(20, loaderOnly)).rejects.toThrow(
        /^gpu is 20, .* but Vulkan is installed, but finds no GPU\./,
      );
    });
  });

  describe('a number of layers', () => {
    it('is asked for as it is', async () => {
      const { gpuAsked, loads, line } = await start(20, L4);
      expect(gpuAsked).toEqual({ type: 'auto', exclude: [] });
      expect(loads).toEqual([20]);
      expect(line).toContain('20 of 33 layers (gpu is 20)');
    });

    it('above the model’s own means all of them', async () => {
      expect((await start(99, L4)).line).toContain('33 of 33 layers (gpu is 99, the model has no more)');
    });

    it('is refused where there is no GPU, with what to do', async () => {
      await expect(start(20)).rejects.toThrow(
        'gpu is 20, a number of layers for a GPU, but no supported GPU was found. ' +
          'Set gpu: auto to use the CPU if there is no GPU, or gpu: off.',
      );
      await expect(start(20, { drivers: ['vulkan'] })).rejects.toThrow(
        /the drivers of Vulkan are installed, but no build/,
      );
    });

    it('that does not fit is refused, with what to do', async () => {
      await expect(start(20, { ...L4, fit: 10 })).rejects.toThrow(
        'The model file a.gguf could not be loaded (Not enough VRAM). ' +
          'Lower gpu (the number of its layers), slots or context_size, or use a smaller model.',
      );
    });
  });

  it('says what to do where no prebuilt engine runs', async () => {
    await expect(start('auto', { fails: new NoBinaryFoundError('NoBinaryFoundError') })).rejects.toThrow(
      /There is no prebuilt engine that runs here \(\w+ \w+\).*glibc.*--omit=optional.*--backend ollama/,
    );
    await expect(start('auto', { fails: new Error('other') })).rejects.toThrow(/^other$/);
  });
});

describe('a model that cannot be loaded', () => {
  function explained(lines: readonly string[], thrown: unknown = new Error('Failed to load model')): string {
    const failure = new LoadFailure();
    for (const line of lines) failure.readLogLine(line);
    return failure.explain('/m.gguf', thrown).message;
  }

  it('names an architecture that is not supported', () => {
    const line = "llama_model_load: error loading model: unknown model architecture: 'made-up'\n";
    expect(explained([line])).toMatch(
      /^The model file \/m\.gguf is of the architecture "made-up", which this/,
    );
  });

  it('gives the first complaint of the library as the reason', () => {
    const lines = [
      'llama_model_loader: loaded meta data\n',
      'llama_model_load: error loading model: error loading model hyperparameters: key not found in model: llama.context_length\n',
      'llama_model_load: error loading model: something later\n',
    ];
    expect(explained(lines)).toContain('could not be loaded (key not found in model: llama.context_length)');
  });

  it('gives the error itself where the library has not complained', () => {
    expect(explained([])).toContain('(Failed to load model)');
    expect(explained([], 'no memory')).toContain('(no memory)');
  });
});
