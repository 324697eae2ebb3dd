-- Counts one more in a window that begins with the first.
-- KEYS: count. ARGV: window, milliseconds.
-- Returns the count, and the milliseconds until the window ends.
local n = redis.call('INCR', KEYS[1])
if n == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return {n, redis.call('PTTL', KEYS[1])}
