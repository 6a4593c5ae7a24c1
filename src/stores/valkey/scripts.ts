/**
 * The Lua scripts that run inside Valkey or Redis (6.2 and later): each is one atomic step. The clock is the server's own, in whole
 * microseconds. Their effects are replicated, not they themselves, so that they may ask for the time.
 *
 * A counter is one key:
 *
 * - A window is a hash, a queue of what was admitted: `position -> time:amount` from `head` up to `tail`, and of it `sum`, `oldest`,
 *   `latest`, and `began`, the time of the newest entry's first amount. Positions begin at the server's time, so that none is used
 *   twice, even after all entries have left: by its position an entry is found again when its amount is settled. Time never runs
 *   backwards within a counter.
 * - A period is a hash: `sum`; `born`, by which a counter that the server has lost meanwhile is recognized; and of each replica, as
 *   `held:` and its name, what of the sum its requests under way hold.
 * - Places at the same time are a sorted set: a member for each place, `request:number`, with the end of its lease.
 */
import { createHash } from 'node:crypto';

export interface Script {
  readonly lua: string;
  readonly sha1: string;
}

/**
 * Up to here an entry each, where the bound allows no joining. Beyond, amounts that come within a fraction of the window, 1 / JOINED_PARTS,
 * are one entry, at the time of the last. So no counter has more than both together, and no amount stays longer than that too long.
 */
const EXACT_ENTRIES = 5000;
const JOINED_PARTS = 5000;

/** A period's counter stays that long after its end, for requests that are settled late. */
const PERIOD_KEPT_MS = 3_600_000;

/** As in limit-store.ts: a limit that is not below is none. */
const LIMITS_BELOW = '1e300';

const COMMON = `
-- The field of what its replica holds, by the id of a request.
local function heldBy(id)
  return 'held:' .. string.match(id, '^(.*):')
end

local function text(number)
  return string.format('%.17g', number)
end

-- Not every number is an integer of the protocol.
local function whole(number)
  return number < 9007199254740992 and number or text(number)
end

local function split(entry)
  local colon = string.find(entry, ':', 1, true)
  return tonumber(string.sub(entry, 1, colon - 1)), tonumber(string.sub(entry, colon + 1))
end
`;

/** Opens a window and counts in it. Above it: `now` by the clock, and `isPeek`. */
const WINDOW = `
local CHUNK = 200
local window = {}

function window.open(c)
  local f = redis.call('HMGET', c.key, 'head', 'tail', 'sum', 'oldest', 'latest', 'began')
  if not f[1] then
    c.head, c.tail, c.sum, c.now = now, now, 0, now
    return
  end
  c.head, c.tail, c.sum = tonumber(f[1]), tonumber(f[2]), tonumber(f[3])
  c.oldest, c.latest, c.began = tonumber(f[4]), tonumber(f[5]), tonumber(f[6])
  c.now = math.max(now, c.latest)
  local left = c.now - c.span
  if c.latest <= left then
    if not isPeek then redis.call('DEL', c.key) end
    c.tail = math.max(c.tail, now)
    c.head, c.sum = c.tail, 0
    return
  end
  if c.oldest > left then return end
  while c.oldest <= left do
    local positions = {}
    for position = c.head, math.min(c.head + CHUNK, c.tail) - 1 do
      positions[#positions + 1] = text(position)
    end
    local gone = {}
    for i, entry in ipairs(redis.call('HMGET', c.key, unpack(positions))) do
      local time, amount = split(entry)
      c.oldest = time
      if time > left then break end
      gone[i] = positions[i]
      c.head = c.head + 1
      c.sum = c.sum - amount
    end
    -- None, where the one before was the last of its chunk.
    if not isPeek and #gone > 0 then redis.call('HDEL', c.key, unpack(gone)) end
  end
  if not isPeek then
    redis.call('HSET', c.key, 'head', text(c.head), 'sum', text(c.sum), 'oldest', text(c.oldest))
  end
end

function window.count(c)
  local position, amount = c.tail, c.amount
  local size = c.tail - c.head
  local join = size >= ${EXACT_ENTRIES} and math.max(c.join, c.span / ${JOINED_PARTS}) or c.join
  if size > 0 and join > 0 and c.now - c.began <= join then
    position = c.tail - 1
    local _, counted = split(redis.call('HGET', c.key, text(position)))
    amount = counted + amount
  else
    c.began = c.now
  end
  if position == c.head then c.oldest = c.now end
  c.tail = position + 1
  c.sum = c.sum + c.amount
  redis.call('HSET', c.key, text(position), text(c.now) .. ':' .. text(amount), 'head', text(c.head),
    'tail', text(c.tail), 'sum', text(c.sum), 'oldest', text(c.oldest), 'latest', text(c.now),
    'began', text(c.began))
  redis.call('PEXPIRE', c.key, math.ceil((c.now - now + c.span) / 1000) + 1000)
  c.mark = position
end
`;

/**
 * KEYS: the counters, then the sorted set of replicas. ARGV: 'decide' or 'peek'; the request's id; the length of a lease in µs; then of each counter its kind, amount,
 * limit, span (of a window its length, of a period its end since the epoch), and within what time amounts may be joined, all in µs.
 * Returns: 1 if all was admitted and counted, else 0; the time in µs; then of each counter what remains, the µs until its
 * amount would be admitted (-1: never), and its mark for settling.
 */
const DECIDE = `${COMMON}
local isPeek = ARGV[1] == 'peek'
local id = ARGV[2]
local lease = tonumber(ARGV[3])
local replicas = KEYS[#KEYS]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
${WINDOW}
function window.wait(c, missing)
  local position = c.head
  while position < c.tail do
    local positions = {}
    for next = position, math.min(position + CHUNK, c.tail) - 1 do
      positions[#positions + 1] = text(next)
    end
    for _, entry in ipairs(redis.call('HMGET', c.key, unpack(positions))) do
      local time, amount = split(entry)
      missing = missing - amount
      if missing <= 0 then return math.max(1, time + c.span - c.now) end
    end
    position = position + #positions
  end
  return c.span
end

local period = {}

function period.open(c)
  local f = redis.call('HMGET', c.key, 'sum', 'born', heldBy(id))
  c.sum = tonumber(f[1] or '0')
  c.mark = tonumber(f[2] or text(now))
  c.held = tonumber(f[3] or '0')
end

function period.count(c)
  c.sum = c.sum + c.amount
  redis.call('HSET', c.key, 'sum', text(c.sum), 'born', text(c.mark))
  if c.amount > 0 and c.limit < ${LIMITS_BELOW} then
    c.held = c.held + c.amount
    redis.call('HSET', c.key, heldBy(id), text(c.held))
  end
  redis.call('PEXPIREAT', c.key, math.ceil(c.span / 1000) + ${PERIOD_KEPT_MS})
end

-- What a replica held that is gone stays used.
function period.wait(c, missing)
  local own, fields = heldBy(id), redis.call('HGETALL', c.key)
  local held = c.held
  for i = 1, #fields, 2 do
    local replica = string.match(fields[i], '^held:(.*)')
    if replica and fields[i] ~= own and redis.call('ZSCORE', replicas, replica) then
      held = held + tonumber(fields[i + 1])
    end
  end
  local rest = math.max(1, c.span - now)
  return missing <= held and math.min(1000000, rest) or rest
end

local places = {}

function places.open(c)
  if not isPeek then redis.call('ZREMRANGEBYSCORE', c.key, '-inf', text(now)) end
  c.sum = redis.call('ZCOUNT', c.key, '(' .. text(now), '+inf')
end

function places.count(c)
  for number = 1, c.amount do
    redis.call('ZADD', c.key, text(now + lease), id .. ':' .. number)
  end
  redis.call('PEXPIRE', c.key, math.ceil(lease / 1000) + 1000)
  c.sum = c.sum + c.amount
end

function places.wait()
  return 1000000
end

local KINDS = { window = window, period = period, now = places }
local counters = {}
local isAdmitted = not isPeek
for i = 1, #KEYS - 1 do
  local at = 5 * i - 1
  local c = { key = KEYS[i], kind = KINDS[ARGV[at]], amount = tonumber(ARGV[at + 1]), limit = tonumber(ARGV[at + 2]),
    span = tonumber(ARGV[at + 3]), join = tonumber(ARGV[at + 4]), mark = 0 }
  counters[i] = c
  c.kind.open(c)
  if c.sum + math.max(1, c.amount) > c.limit then isAdmitted = false end
end
if isAdmitted then
  for _, c in ipairs(counters) do c.kind.count(c) end
end
local answer = { isAdmitted and 1 or 0, now }
for _, c in ipairs(counters) do
  local asked = math.max(1, c.amount)
  local wait = 0
  if asked > c.limit then
    wait = -1
  elseif c.sum + asked > c.limit then
    wait = c.kind.wait(c, c.sum + asked - c.limit)
  end
  answer[#answer + 1] = whole(math.max(0, c.limit - c.sum))
  answer[#answer + 1] = wait
  answer[#answer + 1] = c.mark
end
return answer
`;

/**
 * KEYS: a note that it was done, then the counters. ARGV: for how many ms the note is kept (0: without one, where doing it twice does no
 * harm); the request's id; then of each counter its kind, its mark, the amount counted, the amount in its place, its span, and within
 * what time amounts may be joined. In a window, what is more than was counted is counted now; what is less, where it was.
 */
const SETTLE = `${COMMON}
local keptMs = tonumber(ARGV[1])
if keptMs > 0 and not redis.call('SET', KEYS[1], '1', 'NX', 'PX', keptMs) then return 0 end
local id = ARGV[2]
local isPeek = false
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
${WINDOW}
local KINDS = {}

function KINDS.window(key, mark, counted, amount, span, join)
  if amount > counted then
    local c = { key = key, amount = amount - counted, span = span, join = join }
    window.open(c)
    window.count(c)
    return
  end
  local entry = redis.call('HGET', key, mark)
  if not entry then return end
  local time, there = split(entry)
  redis.call('HSET', key, mark, text(time) .. ':' .. text(there - counted + amount),
    'sum', text(tonumber(redis.call('HGET', key, 'sum')) - counted + amount))
end

function KINDS.period(key, mark, counted, amount, span)
  local own = heldBy(id)
  local f = redis.call('HMGET', key, 'sum', 'born', own)
  if f[2] == mark then
    redis.call('HSET', key, 'sum', text(math.max(0, tonumber(f[1]) - counted + amount)))
    local held = tonumber(f[3] or '0') - counted
    if held > 0 then redis.call('HSET', key, own, text(held)) else redis.call('HDEL', key, own) end
  elseif amount > 0 then
    redis.call('HSET', key, 'sum', text(tonumber(f[1] or '0') + amount), 'born', f[2] or text(now))
    redis.call('PEXPIREAT', key, math.ceil(span / 1000) + ${PERIOD_KEPT_MS})
  end
end

function KINDS.now(key, _, counted, amount)
  for number = amount + 1, counted do redis.call('ZREM', key, id .. ':' .. number) end
end

for i = 2, #KEYS do
  local at = 6 * i - 9
  KINDS[ARGV[at]](KEYS[i], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]),
    tonumber(ARGV[at + 5]))
end
return 1
`;

/** KEYS: the counters of places, one for each member. ARGV: the length of a lease in µs, then the members. */
const RENEW = `${COMMON}
local clock = redis.call('TIME')
local ends = clock[1] * 1000000 + clock[2] + tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, text(ends), ARGV[i + 1])
  redis.call('PEXPIRE', key, math.ceil(tonumber(ARGV[1]) / 1000) + 1000)
end
return #KEYS
`;

/**
 * KEYS: the sorted set of replicas, by when they were last heard of. ARGV: this one's name, and after how many µs one counts as gone.
 * Returns how many there are. It writes, so that it fails wherever a decision would.
 */
const ANNOUNCE = `${COMMON}
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
redis.call('ZADD', KEYS[1], text(now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now - tonumber(ARGV[2])))
redis.call('PEXPIRE', KEYS[1], math.ceil(tonumber(ARGV[2]) / 1000))
return redis.call('ZCARD', KEYS[1])
`;

/**
 * KEYS: counters of periods. ARGV: an id of the replica that asks, then what its requests under way hold of each, in place of what is
 * noted: answers may have been lost.
 */
const HOLD = `${COMMON}
local own = heldBy(ARGV[1])
for i, key in ipairs(KEYS) do
  local held = tonumber(ARGV[i + 1])
  if held <= 0 then
    redis.call('HDEL', key, own)
  elseif redis.call('EXISTS', key) == 1 then
    redis.call('HSET', key, own, text(held))
  end
end
return #KEYS
`;

/** KEYS: as of ANNOUNCE. ARGV: the name of the replica that ends. */
const LEAVE = `return redis.call('ZREM', KEYS[1], ARGV[1])`;

const script = (lua: string): Script => ({ lua, sha1: createHash('sha1').update(lua).digest('hex') });

export const SCRIPTS = {
  decide: script(DECIDE),
  settle: script(SETTLE),
  renew: script(RENEW),
  hold: script(HOLD),
  announce: script(ANNOUNCE),
  leave: script(LEAVE),
} as const;
