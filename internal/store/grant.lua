-- An entry of the ledger is written only over the one that was read.
-- KEYS: ledger, number of people who hold a grant, open
-- ARGV: person, revision, entry, when its intent was written (0: none)
-- Returns the new revision, or 0 when somebody else saved first.
local old = redis.call('HGET', KEYS[1], ARGV[1])
local rev, opened = 0, '0'
if old then
  local r, o = string.match(old, '^(%d+)\t(%d)')
  rev, opened = tonumber(r), o
end
if rev ~= tonumber(ARGV[2]) then return 0 end
rev = rev + 1
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d', rev) .. '\t' .. ARGV[3])
local opens = string.sub(ARGV[3], 1, 1)
if opens ~= opened then redis.call('INCRBY', KEYS[2], tonumber(opens) - tonumber(opened)) end
if ARGV[4] ~= '0' then redis.call('ZADD', KEYS[3], ARGV[4], ARGV[1]) else redis.call('ZREM', KEYS[3], ARGV[1]) end
return rev
