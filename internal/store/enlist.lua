-- Adds a credential, unless its name is taken or there are enough; twice is once.
-- KEYS: credentials, names. ARGV: digest, name, credential, most.
-- Returns 'added', 'taken' or 'full'.
local owner = redis.call('HGET', KEYS[2], ARGV[2])
if owner and owner ~= ARGV[1] then
  return 'taken'
end
if not owner and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then
  return 'full'
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[1])
return 'added'
