-- Kisi said 429: nobody calls for a while, and then all go slower; a little
-- the first time, for that may have been bad luck, and more when it says it
-- again.
-- KEYS: pause, slow. ARGV: milliseconds of silence.
local factor = tonumber(redis.call('GET', KEYS[2]) or '1')
if factor == 1 then factor = 1.1 else factor = math.min(4, factor * 1.5) end
redis.call('SET', KEYS[1], 1, 'PX', ARGV[1])
redis.call('SET', KEYS[2], tostring(factor), 'PX', ARGV[1] + math.floor(10000 * factor))
return 1
