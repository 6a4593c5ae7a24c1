/**
 * Where the model computes: on the CPU or on a GPU, and with how many of its layers. Opens the device, loads the model
 * onto it, and describes in one line for the log what is used and why, or in one error why it failed.
 */
import { type EngineSettings, GPU_NAMES, type GpuKind, type GpuSetting } from '../messages.ts';
import type { Library, Llama, LlamaOptions, Model, ModelOptions } from './library.ts';
import type { ThreadChoice } from './threads.ts';

interface DeviceOptions {
  readonly gpu: GpuSetting;
  /** GPUs that failed before: `auto` does not open them again. */
  readonly excludedGpus: readonly GpuKind[];
  readonly threads: number;
  readonly logger: LlamaOptions['logger'];
  /** Called before anything is computed, so that the parent knows which device an engine died on. */
  readonly onOpened: (device: GpuKind | 'cpu') => void;
}

export interface Device {
  readonly llama: Llama;
  readonly gpu: GpuSetting;
  /** The GPU's names, or those of several. */
  readonly gpuNames: readonly string[];
  /** Why there are none; empty if there are some. */
  readonly noGpuBecause: string;
}

/**
 * Opens a prebuilt binary: nothing is compiled or downloaded. A configured number of layers means that there is a GPU;
 * without one this throws, since answers would be many times slower than the operator expects.
 */
export async function openDevice(library: Library, options: DeviceOptions): Promise<Device> {
  const { gpu, excludedGpus, threads, logger, onOpened } = options;
  const llama = await openBinary(library, {
    gpu: choiceOfGpu(gpu, excludedGpus),
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    maxThreads: threads,
    logger,
  });
  onOpened(llama.gpu === false ? 'cpu' : llama.gpu);
  if (isOff(gpu)) return { llama, gpu, gpuNames: [], noGpuBecause: `gpu is ${gpu}` };
  // The library also opens a GPU build when its loader is installed but no device is present.
  const gpuNames = llama.gpu === false ? [] : await llama.getGpuDeviceNames();
  const noGpuBecause = gpuNames.length > 0 ? '' : await whyNoGpu(library, llama, excludedGpus);
  if (gpuNames.length > 0 || gpu === 'auto') return { llama, gpu, gpuNames, noGpuBecause };
  throw new Error(
    `gpu is ${gpu}, a number of layers for a GPU, but ${noGpuBecause}. ` +
      'Set gpu: auto to use the CPU if there is no GPU, or gpu: off.',
  );
}

function choiceOfGpu(gpu: GpuSetting, excludedGpus: readonly GpuKind[]): LlamaOptions['gpu'] {
  // On a Mac the library's `auto` is Metal and nothing else.
  if (isOff(gpu) || excludedGpus.includes('metal')) return false;
  return { type: 'auto', exclude: [...excludedGpus] };
}

async function whyNoGpu(
  { getLlamaGpuTypes }: Library,
  llama: Llama,
  excludedGpus: readonly GpuKind[],
): Promise<string> {
  if (llama.gpu !== false) return `${GPU_NAMES[llama.gpu]} is installed, but finds no GPU`;
  if (excludedGpus.length > 0) return `${namesOf(excludedGpus)} failed before the first token`;
  const types = await getLlamaGpuTypes('supported');
  const drivers = types.filter((type) => type !== false);
  if (drivers.length === 0) return 'no supported GPU was found';
  return `the drivers of ${namesOf(drivers)} are installed, but no build of the engine for that is installed or runs here (node scripts/engine-builds.mjs downloads it)`;
}

function namesOf(gpus: readonly GpuKind[]): string {
  return gpus.map((gpu) => GPU_NAMES[gpu]).join(' and ');
}

async function openBinary(library: Library, options: LlamaOptions): Promise<Llama> {
  try {
    return await library.getLlama(options);
  } catch (cause) {
    if (!isCalled(cause, 'NoBinaryFoundError')) throw cause;
    throw new Error(
      `There is no prebuilt engine that runs here (${process.platform} ${process.arch}): the packages @node-llama-cpp/* ` +
        'are missing, or this is a system without one, such as a Linux without glibc. Install without --omit=optional, ' +
        'or use another backend: --backend ollama --url http://127.0.0.1:11434 --model NAME.',
      { cause },
    );
  }
}

/** The GPU failed at something that the CPU may be able to do; the model file is not at fault. */
export class GpuFailure extends Error {}

/** For work that computes or takes memory on the device: on a GPU its error becomes a GpuFailure. */
export async function onDevice<T>({ llama, gpuNames }: Device, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    if (llama.gpu === false || gpuNames.length === 0) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GpuFailure(`${GPU_NAMES[llama.gpu]} (${gpuNames.join(', ')}) failed: ${reason}`, { cause });
  }
}

type WeightsSettings = Pick<EngineSettings, 'modelPath' | 'contextSize' | 'sequences'>;

/** With `auto`, as many layers go on the GPU as fit beside the context, perhaps none. */
export async function loadWeights(
  { llama, gpu, gpuNames }: Device,
  { modelPath, contextSize, sequences }: WeightsSettings,
  { failure, onLoadProgress }: { readonly failure: LoadFailure; readonly onLoadProgress: () => void },
): Promise<Model> {
  const load = (gpuLayers: ModelOptions['gpuLayers']) =>
    llama.loadModel({ modelPath, gpuLayers, onLoadProgress });
  try {
    if (gpuNames.length === 0) return await load(0);
    if (typeof gpu === 'number') return await load(gpu);
    const fitContext = { contextSize: contextSize * sequences };
    return await load({ fitContext }).catch((thrown: unknown) => {
      if (isCalled(thrown, 'InsufficientMemoryError')) return load(0);
      throw thrown;
    });
  } catch (cause) {
    if (gpu === 'auto' && gpuNames.length > 0 && failure.lacksMemory) {
      throw new GpuFailure(failure.explain(modelPath, cause).message, { cause });
    }
    if (!isCalled(cause, 'InsufficientMemoryError')) throw failure.explain(modelPath, cause);
    throw new Error(
      `The model file ${modelPath} could not be loaded (${(cause as Error).message}). ` +
        'Lower gpu (the number of its layers), slots or context_size, or use a smaller model.',
      { cause },
    );
  }
}

/** "computes on CUDA (NVIDIA L4), 33 of 33 layers (gpu: auto), 8 threads (one per core; 8 cores available)" */
export function describeDevice(
  { llama, gpu, gpuNames, noGpuBecause }: Device,
  model: Pick<Model, 'gpuLayers' | 'fileInsights'>,
  choice: ThreadChoice,
): string {
  const threads = `${choice.threads === 1 ? '1 thread' : `${choice.threads} threads`} (${choice.why})`;
  if (llama.gpu === false || gpuNames.length === 0) {
    return `computes on the CPU (${noGpuBecause}), ${threads}`;
  }
  const device = `${GPU_NAMES[llama.gpu]} (${gpuNames.join(', ')})`;
  const layers = `${model.gpuLayers} of ${model.fileInsights.totalLayers} layers`;
  return `computes on ${device}, ${layers} (${whyLayers(gpu, model)}), ${threads}`;
}

function whyLayers(
  gpu: GpuSetting,
  { gpuLayers, fileInsights }: Pick<Model, 'gpuLayers' | 'fileInsights'>,
): string {
  if (typeof gpu === 'number')
    return gpu > gpuLayers ? `gpu is ${gpu}, the model has no more` : `gpu is ${gpu}`;
  const all = gpuLayers === fileInsights.totalLayers;
  return all ? 'gpu is auto, all fit' : 'gpu is auto, more do not fit in its free memory';
}

/** Zero layers mean no GPU. */
function isOff(gpu: GpuSetting): boolean {
  return gpu === 'off' || gpu === 0;
}

/** The library's errors are recognised by name: it is not imported here. */
function isCalled(thrown: unknown, name: string): boolean {
  return thrown instanceof Error && thrown.constructor.name === name;
}

/** Why a model could not be loaded. The library's error does not say why; its log does. */
export class LoadFailure {
  #logged: string | undefined;

  /** For every line of the library's log; the first error is the cause. */
  readLogLine(line: string): void {
    this.#logged ??= /error loading model: (?:error loading model \w+: )?(.+)/.exec(line)?.[1]?.trim();
  }

  /** A buffer for the weights could not be allocated. */
  get lacksMemory(): boolean {
    return /^unable to allocate/.test(this.#logged ?? '');
  }

  /** In words that a user can act on. */
  explain(modelPath: string, thrown: unknown): Error {
    const reason = this.#logged ?? (thrown instanceof Error ? thrown.message : String(thrown));
    const architecture = /^unknown model architecture: '(.*)'$/.exec(reason)?.[1];
    const message =
      architecture === undefined
        ? `The model file ${modelPath} could not be loaded (${reason}). It must be a complete GGUF file that this ` +
          'engine supports: delete it to have it downloaded again, or give another file with --model PATH.'
        : `The model file ${modelPath} is of the architecture ${JSON.stringify(architecture)}, which this engine does ` +
          'not support. Give a model of another kind with --model, or update node-llama-cpp: a later version may support it.';
    return new Error(message, { cause: thrown });
  }
}
