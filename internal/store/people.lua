-- Writes what was read of people, unless something newer is known.
-- KEYS: people, touched. ARGV: when the reading began, (person, details)…
-- Returns the people who were read, or changed, since.
local began, refused = ARGV[1], {}
for k = 2, #ARGV, 2 do
  local id = ARGV[k]
  local newest = redis.call('ZSCORE', KEYS[2], id)
  local there = redis.call('HGET', KEYS[1], id)
  if there then
    local at = string.match(there, '^%d+')
    if not newest or tonumber(at) > tonumber(newest) then newest = at end
  end
  if newest and tonumber(newest) > tonumber(began) then
    refused[#refused + 1] = id
  else
    redis.call('HSET', KEYS[1], id, began .. ' ' .. ARGV[k + 1])
  end
end
return refused
