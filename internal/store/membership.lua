-- Membership and delta link change together or not at all.
-- KEYS: state, members, changed
-- ARGV: revision, link, name, deleted, now, number joined, (id, kind)…, left id…
-- Returns the new revision, or 0 when somebody else saved first.
local rev = tonumber(redis.call('HGET', KEYS[1], 'rev') or '0')
if rev ~= tonumber(ARGV[1]) then return 0 end
rev = rev + 1
redis.call('HSET', KEYS[1], 'rev', rev, 'link', ARGV[2], 'deleted', ARGV[4], 'pulled', ARGV[5])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'name', ARGV[3]) end

local others = tonumber(redis.call('HGET', KEYS[1], 'others') or '0')
local joined = tonumber(ARGV[6])
local at = 7
for _ = 1, joined do
  local id, kind = ARGV[at], ARGV[at + 1]
  at = at + 2
  if redis.call('HSET', KEYS[2], id, kind) == 1 and kind ~= 'user' then others = others + 1 end
  if kind == 'user' then redis.call('ZADD', KEYS[3], rev, id) end
end
for k = at, #ARGV do
  local id = ARGV[k]
  local kind = redis.call('HGET', KEYS[2], id)
  if kind then
    redis.call('HDEL', KEYS[2], id)
    if kind == 'user' then redis.call('ZADD', KEYS[3], rev, id) else others = others - 1 end
  end
end
redis.call('HSET', KEYS[1], 'others', others)
return rev
