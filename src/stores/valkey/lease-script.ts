/**
 * The Lua scripts that divide the slots of shared targets (leases/lease-store.ts has the protocol, leases/lease-ledger.ts the same rule in
 * TypeScript, step by step). Each is one atomic step; the clock is the server's own, in µs.
 *
 * A target is one hash: `token`, of the last new lease; `sum`, what all replicas hold; `used`, what runs there for all; `slots`; `count` of
 * leases; `divided`, when shares were last computed; `at`, when it was last written; `until`, the end of its recovery; `run`, the server process that wrote it last. A
 * lease is the field `r:REPLICA`: end, held, used, needs, spare, slots, token, sequence. A share that is not computed for each renewal is
 * the field `s:REPLICA`: share, rank.
 */
import { createHash } from 'node:crypto';
import {
  ALWAYS_DIVIDED_UP_TO,
  DIVIDED_AFTER_MS_AT_MOST,
  DIVIDED_AFTER_MS_EACH,
  MIN_RECOVERY_MS,
  NOTICED_STEP_BACK_MS,
  TURN_MS,
} from '../../leases/lease-ledger.ts';
import type { Script } from './scripts.ts';

/** A target that nobody asks for is forgotten after that: with the next one that does, it recovers. */
const KEPT_MS = 86_400_000;

const COMMON = `
local function text(number)
  return string.format('%.17g', number)
end

local function numbers(joined)
  local all = {}
  for each in string.gmatch(joined, '[^:]+') do all[#all + 1] = tonumber(each) end
  return all
end
`;

/** KEYS: the targets. ARGV: the replica; its sequence; the length of a lease in µs; then of each target slots, keeps, used, needs, spare,
 * token, and 1 if the replica is alone. Returns nothing if a later renewal has come before; else of each target block, share, token,
 * replicas, rank, slots, used by all, and 1 while it recovers. */
const RENEW = `${COMMON}
local replica, sequence, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or 'unknown'
local recovery = math.max(lease, ${MIN_RECOVERY_MS * 1000})

local function divide(slots, wants, turn)
  local ascending = {}
  for i, want in ipairs(wants) do ascending[i] = want end
  table.sort(ascending)
  local left, level, more, served = slots, math.huge, 0, #wants
  for i, want in ipairs(ascending) do
    local count = #wants - i + 1
    local even = math.floor(left / count)
    if want > even then
      level, more, served = even, left - even * count, i - 1
      break
    end
    left = left - want
  end
  local lacking, position, shares, sum = #wants - served, 0, {}, 0
  for i, want in ipairs(wants) do
    shares[i] = math.min(want, level)
    if want > level and more > 0 then
      if (position + turn * more) % lacking < more then shares[i] = level + 1 end
      position = position + 1
    end
    sum = sum + shares[i]
  end
  return shares, sum
end

local function fairShares(slots, needs, spare)
  local shares, sum = divide(slots, needs, math.floor(now / ${TURN_MS * 1000}))
  if sum == slots then return shares end
  local more = divide(slots - sum, spare, 0)
  for i, each in ipairs(more) do shares[i] = shares[i] + each end
  return shares
end

local function opened(key)
  local f = redis.call('HMGET', key, 'token', 'sum', 'used', 'slots', 'count', 'divided', 'until', 'run',
    'r:' .. replica, 's:' .. replica, 'at')
  local book = { key = key, token = tonumber(f[1] or '0'), sum = tonumber(f[2] or '0'),
    used = tonumber(f[3] or '0'), slots = tonumber(f[4] or 'inf') or math.huge, count = tonumber(f[5] or '0'),
    divided = tonumber(f[6] or '0'), recovers = tonumber(f[7] or '0'), run = f[8] or '' }
  book.back = tonumber(f[11] or '0') - now
  if book.back <= ${NOTICED_STEP_BACK_MS * 1000} then book.back = 0 end
  book.recovers = book.recovers - book.back
  if f[9] then book.before = numbers(f[9]) end
  if f[10] then book.share = numbers(f[10]) end
  return book
end

local function isDue(book)
  if book.back > 0 or book.count <= ${ALWAYS_DIVIDED_UP_TO} or not book.share then return true end
  local after = math.min(${DIVIDED_AFTER_MS_AT_MOST * 1000}, book.count * ${DIVIDED_AFTER_MS_EACH * 1000})
  return math.abs(now - book.divided) >= after
end

-- Reads all leases but the replica's own, without those that have ended.
local function readAll(book)
  local all, names = redis.call('HGETALL', book.key), {}
  local before, sum, used = 0, 0, 0
  book.leases = {}
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'r:' then
      local name, l = string.sub(all[i], 3), numbers(all[i + 1])
      before = before + 1
      if book.back > 0 then
        l[1] = l[1] - book.back
        redis.call('HSET', book.key, all[i], text(l[1]) .. string.match(all[i + 1], ':.*'))
      end
      if l[1] <= now then
        redis.call('HDEL', book.key, 'r:' .. name, 's:' .. name)
        if name == replica then book.before = nil end
      else
        names[#names + 1] = name
        book.leases[name] = l
        sum, used = sum + l[2], used + l[3]
      end
    end
  end
  book.names, book.sum, book.used, book.count = names, sum, used, #names
  return before > 0 and #names == 0
end

local function computeShares(book)
  if not book.before then book.names[#book.names + 1] = replica end
  table.sort(book.names)
  local needs, spare, slots = {}, {}, math.huge
  for i, name in ipairs(book.names) do
    local l = book.leases[name]
    needs[i], spare[i], slots = l[4], l[5], math.min(slots, l[6])
  end
  book.slots, book.divided = slots, now
  local shares = fairShares(slots, needs, spare)
  local fields = {}
  for i, name in ipairs(book.names) do
    if name == replica then book.share = { shares[i], i - 1 } end
    if #book.names > ${ALWAYS_DIVIDED_UP_TO} then
      fields[#fields + 1] = 's:' .. name
      fields[#fields + 1] = shares[i] .. ':' .. (i - 1)
      if #fields == 2000 or i == #book.names then
        redis.call('HSET', book.key, unpack(fields))
        fields = {}
      end
    end
  end
end

local function renew(book, slots, keeps, used, needs, spare, token, isAlone)
  if book.run ~= run then book.recovers = now + recovery end
  local due = isDue(book)
  if due and readAll(book) then book.recovers = now + recovery end
  local before = book.before
  local isKnown = before and before[7] == token
  local isBelieved = isKnown or (now < book.recovers and (token > 0 or isAlone))
  if not isBelieved then keeps = 0 end
  local held = math.max(keeps, used)
  if not isKnown then
    book.token = math.max(book.token, token) + 1
    token = book.token
  end
  book.sum = book.sum + held - (before and before[2] or 0)
  book.used = book.used + used - (before and before[3] or 0)
  book.slots = math.min(book.slots, slots)
  if not before then book.count = book.count + 1 end
  if due then
    book.leases[replica] = { now + lease, held, used, needs, spare, slots, token, sequence }
    computeShares(book)
  end
  local share, rank = book.share[1], book.share[2]
  local isRecovering = now < book.recovers
  local free = isRecovering and 0 or math.max(0, book.slots - book.sum)
  local more = math.min(free, math.max(0, share - held))
  book.sum = book.sum + more
  local block = more > 0 and held + more or keeps
  if isRecovering then share = math.max(share, keeps) end
  redis.call('HSET', book.key, 'token', text(book.token), 'sum', text(book.sum), 'used', text(book.used),
    'at', text(now), 'slots', text(book.slots), 'count', text(book.count), 'divided', text(book.divided), 'until', text(book.recovers),
    'run', run, 'r:' .. replica, table.concat({ text(now + lease), text(held + more), text(used), text(needs),
      text(spare), text(slots), text(token), text(sequence) }, ':'))
  redis.call('PEXPIRE', book.key, ${KEPT_MS})
  return block, share, token, book.count, rank, book.slots, book.used, isRecovering and 1 or 0
end

local books, answer = {}, {}
for i, key in ipairs(KEYS) do
  books[i] = opened(key)
  if books[i].before and sequence <= books[i].before[8] then return {} end
end
for i, book in ipairs(books) do
  local a = {}
  for j = 1, 7 do a[j] = tonumber(ARGV[3 + 7 * (i - 1) + j]) end
  for _, each in ipairs({ renew(book, a[1], a[2], a[3], a[4], a[5], a[6], a[7] == 1) }) do
    answer[#answer + 1] = each
  end
end
return answer
`;

/** KEYS: the targets. ARGV: the replica, which uses nothing any more. */
const LEAVE = `${COMMON}
local field = 'r:' .. ARGV[1]
for _, key in ipairs(KEYS) do
  local f = redis.call('HMGET', key, field, 'sum', 'used', 'count')
  if f[1] then
    local lease = numbers(f[1])
    redis.call('HDEL', key, field, 's:' .. ARGV[1])
    redis.call('HSET', key, 'sum', text(tonumber(f[2]) - lease[2]), 'used', text(tonumber(f[3]) - lease[3]),
      'count', text(tonumber(f[4]) - 1), 'divided', '0')
  end
end
return #KEYS
`;

const script = (lua: string): Script => ({ lua, sha1: createHash('sha1').update(lua).digest('hex') });

export const LEASE_SCRIPTS = { renew: script(RENEW), leave: script(LEAVE) } as const;
