-- Begins, or ends, what a caller asked for under an Idempotency-Key.
-- KEYS: reply
-- ARGV: digest of the request, seed, patience and life in milliseconds
-- Returns what to do, and what for: go SEED, other, busy or done ANSWER.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local was = redis.call('HMGET', KEYS[1], 'digest', 'seed', 'until', 'answer')
local busy = string.format('%.0f', now + tonumber(ARGV[3]))
if not was[1] then
  redis.call('HSET', KEYS[1], 'digest', ARGV[1], 'seed', ARGV[2], 'until', busy)
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return {'go', ARGV[2]}
end
if was[1] ~= ARGV[1] then return {'other', ''} end
if was[4] then return {'done', was[4]} end
if tonumber(was[3]) > now then return {'busy', ''} end
redis.call('HSET', KEYS[1], 'until', busy)
return {'go', was[2]}
