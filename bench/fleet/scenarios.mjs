// The fleets that are simulated. A request takes 50 ms and 10 ms for each of 64 tokens in the mean: a slot serves 1.45 a second.
const REQUESTS_PER_SLOT = 1000 / (50 + 64 * 10);

export const SHARINGS = ['leases', 'even', 'none'];

const FLEET = {
  replicas: 10,
  servers: 8,
  slotsPerServer: 64,
  sharing: 'leases',
  seconds: 20,
  warmUpSeconds: 20,
  answerTokens: 64,
  msPerToken: 10,
  promptMs: 50,
  queueTimeoutMs: 5000,
  networkMs: 1,
  leaseMs: 3000,
  skew: 0,
  clients: 20,
  conversations: 0,
};

const offered = ({ servers, slotsPerServer }, load) =>
  Math.round(servers * slotsPerServer * REQUESTS_PER_SLOT * load);
const loaded = (changes, load) => {
  const setup = { ...FLEET, ...changes };
  return { ...setup, offeredPerSecond: offered(setup, load) };
};

export const SKEW_LOAD = 0.8;
/** By Zipf's law with exponent 1.5: about half of the load comes to the first replica. */
export const SKEW = [2, 5, 10, 20, 50].map((replicas) => loaded({ replicas, skew: 1.5 }, SKEW_LOAD));

export const FAIRNESS = loaded({ heavyShare: 0.7 }, 2);

const BROKEN = { replicas: 20 };
const CRASHES = { crashesPerSecond: 0.5 };
const PAUSES = { pausesPerSecond: 0.5, pauseMs: 6000 };
const AWAY = { storeAwayFromMs: 22_000, storeAwayForMs: 10_000 };
export const FAULTS = [
  { label: 'nothing', setup: loaded(BROKEN, 0.8) },
  { label: 'a replica crashes every 2 s', setup: loaded({ ...BROKEN, faults: CRASHES }, 0.8) },
  {
    label: 'a replica stands still for two leases, every 2 s',
    setup: loaded({ ...BROKEN, faults: PAUSES }, 0.8),
  },
  { label: 'the lease store is away for 10 of 20 s', setup: loaded({ ...BROKEN, faults: AWAY }, 0.8) },
  { label: 'all of it', setup: loaded({ ...BROKEN, faults: { ...CRASHES, ...PAUSES, ...AWAY } }, 0.8) },
];

export const AFFINITY = [1, 4, 16].map((replicas) => loaded({ replicas, conversations: 2000 }, 0.5));

/** Short answers, so that a million a second need no more than 250,000 slots. */
const SHORT = { answerTokens: 16, msPerToken: 10, promptMs: 20, clients: 1000 };
const SHORT_PER_SLOT = 1000 / (20 + 16 * 10);
export const SCALE = [
  { replicas: 10, offeredPerSecond: 10_000, seconds: 10 },
  { replicas: 30, offeredPerSecond: 30_000, seconds: 10 },
  { replicas: 100, offeredPerSecond: 100_000, seconds: 5 },
  { replicas: 300, offeredPerSecond: 300_000, seconds: 3 },
  { replicas: 1000, offeredPerSecond: 1_000_000, seconds: 2 },
].map(({ replicas, offeredPerSecond, seconds }) => {
  const servers = 32;
  const slotsPerServer = Math.ceil(offeredPerSecond / SHORT_PER_SLOT / 0.8 / servers);
  return {
    ...FLEET,
    ...SHORT,
    replicas,
    servers,
    slotsPerServer,
    offeredPerSecond,
    seconds,
    warmUpSeconds: 5,
  };
});
