-- Writes a field only over the value that was read. Done twice, as when an
-- answer was lost, it is done.
-- KEYS: a hash, its revision. ARGV: field, the value that was read, the value
-- to write; "" is a field that is not there.
local is = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if is == ARGV[3] then return 1 end
if is ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
redis.call('INCR', KEYS[2])
return 1
