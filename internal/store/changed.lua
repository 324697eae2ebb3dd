-- Marks members of a group whose details changed.
-- KEYS: state, members, changed. ARGV: people…. Returns how many are members.
local there = {}
for _, id in ipairs(ARGV) do
  if redis.call('HGET', KEYS[2], id) == 'u' then there[#there + 1] = id end
end
if #there > 0 then
  -- A revision of its own, lest a pull that runs takes it for settled.
  local rev = redis.call('HINCRBY', KEYS[1], 'rev', 1)
  redis.call('HINCRBY', KEYS[1], 'edition', 1)
  for _, id in ipairs(there) do redis.call('ZADD', KEYS[3], rev, id) end
end
return #there
