-- Lets a call go, or tells how long to wait before asking again.
-- KEYS: calls, waiting, seen, next, pause, slow
-- ARGV: calls in a window, window, urgency (0 first), waiter
-- Returns 0, or microseconds.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local n, window, urgency, me = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
window = math.floor(window * tonumber(redis.call('GET', KEYS[6]) or '1'))
local gap = math.floor(window / n)

for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - 3000000)) do
  redis.call('ZREM', KEYS[2], gone)
  redis.call('ZREM', KEYS[3], gone)
end
redis.call('ZADD', KEYS[2], urgency, me)
redis.call('ZADD', KEYS[3], string.format('%.0f', now), me)
local ahead = redis.call('ZCOUNT', KEYS[2], '-inf', '(' .. urgency)

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - window))
local calls = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
local count = #calls / 2
local due = now
if count >= n then due = tonumber(calls[2 * (count - n + 1)]) + window end

-- Whoever does not revoke leaves the last call of the window free until the
-- next one is about to come: so a revocation never waits longer than one gap.
if urgency > 0 and count > 0 and count >= n - 1 then
  due = math.max(due, tonumber(calls[2 * (count - n + 2)] or calls[2]) + window - gap)
end
-- Many calls are spaced evenly; what comes late catches up, by a gap or 50 ms.
local nextpaced = tonumber(redis.call('GET', KEYS[4]) or '0')
if urgency >= 2 then due = math.max(due, nextpaced) end
due = math.max(due, now + redis.call('PTTL', KEYS[5]) * 1000)

if due <= now and ahead == 0 then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now), me)
  redis.call('PEXPIRE', KEYS[1], math.ceil(window / 500))
  redis.call('SET', KEYS[4], string.format('%.0f', math.max(nextpaced, now - math.max(gap, 50000)) + gap), 'EX', 60)
  redis.call('ZREM', KEYS[2], me)
  redis.call('ZREM', KEYS[3], me)
  return 0
end
redis.call('PEXPIRE', KEYS[2], 10000)
redis.call('PEXPIRE', KEYS[3], 10000)
local rank = redis.call('ZRANK', KEYS[2], me)
-- Whoever stands further back asks later, when its own turn comes.
return math.max(1000, due - now + rank * gap)
