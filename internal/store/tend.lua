-- The sign of life of a process, and the search for work that nobody is at.
-- The hashes of the work that the watch names share its slot.
-- KEYS: watch, seq, alive
-- ARGV: life, grace, prefix of the work, number queued, (key, number)…, (key, run)…
-- Returns rows of key, urgency, cause, since, number, 0.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local life, grace, prefix, queued = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
redis.call('SET', KEYS[3], 1, 'PX', life)

local at = 5
for _ = 1, queued do
  local h = redis.call('HMGET', prefix .. ARGV[at], 's', 'n')
  if h[1] == 'q' and h[2] == ARGV[at + 1] then redis.call('ZREM', KEYS[1], ARGV[at]) end
  at = at + 2
end
while at < #ARGV do
  local h = redis.call('HMGET', prefix .. ARGV[at], 's', 'run')
  if h[1] == 'r' and h[2] == ARGV[at + 1] then redis.call('ZADD', KEYS[1], now + life, ARGV[at]) end
  at = at + 2
end

local overdue = {}
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 500)) do
  local work = prefix .. key
  local h = redis.call('HMGET', work, 's', 'u', 'c', 't', 'd', 'du')
  if h[1] == 'q' or h[1] == 'b' or h[1] == 'r' then
    local u = tonumber(h[2])
    if h[5] == '1' then u = math.min(u, tonumber(h[6])) end
    local seq = redis.call('INCR', KEYS[2])
    redis.call('HSET', work, 's', 'q', 'u', u, 'n', seq)
    redis.call('HDEL', work, 'run', 'd', 'du', 'dc', 'dt')
    redis.call('ZADD', KEYS[1], now + grace, key)
    overdue[#overdue + 1] = { key, tostring(u), h[3], h[4], tostring(seq), '0' }
  else
    redis.call('ZREM', KEYS[1], key)
  end
end
return overdue
