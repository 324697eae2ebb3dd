-- KEYS: roster. ARGV: email, user. A roster that has gone is not begun anew.
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return 1
