-- Membership and delta link change together or not at all.
-- KEYS: state, members, changed, inner groups
-- ARGV: revision, link, name, deleted, now, compared, ahead, number joined,
--       (id, kind)…, left id…
-- Returns the new revision, or 0 when somebody else saved first.
local rev = tonumber(redis.call('HGET', KEYS[1], 'rev') or '0')
if rev ~= tonumber(ARGV[1]) then return 0 end
rev = rev + 1
if #ARGV > 8 or (redis.call('HGET', KEYS[1], 'deleted') or '') ~= ARGV[4] then redis.call('HINCRBY', KEYS[1], 'edition', 1) end
redis.call('HSET', KEYS[1], 'rev', rev, 'link', ARGV[2], 'deleted', ARGV[4], 'pulled', ARGV[5])
if ARGV[6] == '1' then redis.call('HSET', KEYS[1], 'listed', ARGV[5]) end
if ARGV[7] == '1' then redis.call('HSET', KEYS[1], 'ahead', ARGV[5]) end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'name', ARGV[3]) end

local others = 0
local function count(id, kind, by)
  if kind == 'u' then
    redis.call('ZADD', KEYS[3], rev, id)
  elseif kind == 'o' then
    others = others + by
  elseif by > 0 then
    redis.call('SADD', KEYS[4], id)
  else
    redis.call('SREM', KEYS[4], id)
  end
end
local joined, at = tonumber(ARGV[8]), 9
for _ = 1, joined do
  local id, kind = ARGV[at], ARGV[at + 1]
  at = at + 2
  if redis.call('HSET', KEYS[2], id, kind) == 1 or kind == 'u' then count(id, kind, 1) end
end
for k = at, #ARGV do
  local id = ARGV[k]
  local kind = redis.call('HGET', KEYS[2], id)
  if kind then
    redis.call('HDEL', KEYS[2], id)
    count(id, kind, -1)
  end
end
if others ~= 0 then redis.call('HINCRBY', KEYS[1], 'others', others) end
return rev
