-- Writes down that work is to be done, and tells which of it needs a task.
-- KEYS: watch, seq, one hash for each wake
-- ARGV: grace, the cause that wakes only what sleeps,
--       then for each wake: key, urgency, cause, since, delay
-- Returns for each wake: its number, or 0 when it was folded into one that
-- waits; and how long its task must be delayed. All times in milliseconds.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local grace, rescue = tonumber(ARGV[1]), ARGV[2]

-- Lua 5.1 has no bitwise or; causes are few bits.
local function union(a, b)
  local sum, bit = 0, 1
  while a > 0 or b > 0 do
    if a % 2 == 1 or b % 2 == 1 then sum = sum + bit end
    a = math.floor(a / 2)
    b = math.floor(b / 2)
    bit = bit * 2
  end
  return sum
end

local answer, watched = {}, {}
for k = 3, #KEYS do
  local at = 3 + (k - 3) * 5
  local key, u, c, since, delay = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local h = redis.call('HMGET', KEYS[k], 's', 'u', 'c', 't', 'until', 'd', 'du', 'dc', 'dt')
  local state, seq = h[1], 0
  local rest = math.max(0, tonumber(h[5] or '0') - now)
  if state and ARGV[at + 2] == rescue and state ~= 'c' then
    seq = 0
  elseif state == 'r' then
    if h[6] == '1' then
      u, c, since = math.min(u, tonumber(h[7])), union(c, tonumber(h[8])), math.min(since, tonumber(h[9]))
    end
    redis.call('HSET', KEYS[k], 'd', 1, 'du', u, 'dc', c, 'dt', since)
  else
    local waits = state == 'q'
    local urgent = not waits or u < tonumber(h[2])
    if waits or state == 'b' then
      u, c, since = math.min(u, tonumber(h[2])), union(c, tonumber(h[3])), math.min(since, tonumber(h[4]))
    end
    if urgent then
      delay = math.max(delay, rest)
      seq = redis.call('INCR', KEYS[2])
      redis.call('HSET', KEYS[k], 's', 'q', 'u', u, 'c', c, 't', since, 'n', seq)
      if state == 'c' then redis.call('PERSIST', KEYS[k]) end
      watched[#watched + 1] = now + grace + delay
      watched[#watched + 1] = key
    elseif c ~= tonumber(h[3]) or since ~= tonumber(h[4]) then
      redis.call('HSET', KEYS[k], 's', 'q', 'u', u, 'c', c, 't', since)
    end
  end
  answer[#answer + 1] = seq
  answer[#answer + 1] = delay
end
for k = 1, #watched, 1000 do
  redis.call('ZADD', KEYS[1], unpack(watched, k, math.min(k + 999, #watched)))
end
return answer
