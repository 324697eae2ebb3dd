-- KEYS: users of an organization. ARGV: user, person.
local people = redis.call('HGET', KEYS[1], ARGV[1])
if not people then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
elseif not string.find(' ' .. people .. ' ', ' ' .. ARGV[2] .. ' ', 1, true) then
  redis.call('HSET', KEYS[1], ARGV[1], people .. ' ' .. ARGV[2])
end
return 1
