-- Ends a run: the work is done, waits for its retry, or was woken meanwhile.
-- KEYS: watch, seq, the work. ARGV: key, run, done or back, rest, grace.
-- Returns urgency, cause, since, number, delay of work woken meanwhile; or nothing.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local rest = tonumber(ARGV[4])
local h = redis.call('HMGET', KEYS[3], 's', 'run', 'd', 'du', 'dc', 'dt')
if h[1] ~= 'r' or h[2] ~= ARGV[2] then return {} end
redis.call('HDEL', KEYS[3], 'run', 'd', 'du', 'dc', 'dt')
if h[3] == '1' then
  local seq = redis.call('INCR', KEYS[2])
  redis.call('HSET', KEYS[3], 's', 'q', 'u', h[4], 'c', h[5], 't', h[6], 'n', seq, 'until', now + rest)
  redis.call('ZADD', KEYS[1], now + rest + ARGV[5], ARGV[1])
  return { h[4], h[5], h[6], tostring(seq), tostring(rest) }
end
if ARGV[3] == 'back' then
  -- asynq holds the retry; should it be lost, the watch makes another.
  redis.call('HSET', KEYS[3], 's', 'b')
  redis.call('ZADD', KEYS[1], now + rest + 60000, ARGV[1])
elseif rest > 0 then
  redis.call('HSET', KEYS[3], 's', 'c', 'until', now + rest)
  redis.call('PEXPIRE', KEYS[3], rest)
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('DEL', KEYS[3])
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return {}
