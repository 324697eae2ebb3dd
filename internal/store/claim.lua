-- Takes a piece of work, unless somebody is at it or there is nothing to do.
-- KEYS: watch, the work. ARGV: key, run, life.
-- Returns urgency, cause, since, number, 0; or nothing.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local h = redis.call('HMGET', KEYS[2], 's', 'u', 'c', 't', 'n')
if h[1] ~= 'q' and h[1] ~= 'b' then return {} end
redis.call('HSET', KEYS[2], 's', 'r', 'run', ARGV[2])
redis.call('HDEL', KEYS[2], 'until')
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
return { h[2], h[3], h[4], h[5], '0' }
