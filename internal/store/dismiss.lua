-- Deletes a credential, and its name if that is still its own.
-- KEYS: credentials, names, used. ARGV: digest, name.
-- Returns how many there were, 0 or 1.
if redis.call('HGET', KEYS[2], ARGV[2]) == ARGV[1] then
  redis.call('HDEL', KEYS[2], ARGV[2])
end
redis.call('HDEL', KEYS[3], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
