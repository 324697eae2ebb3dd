-- Verdicts are written only over those that were read.
-- KEYS: verdicts. ARGV: revision, rest of the head, (person, verdict or "")…
local rev = tonumber(string.match(redis.call('HGET', KEYS[1], '') or '0', '^%d+'))
if rev ~= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], '', string.format('%d', rev + 1) .. ' ' .. ARGV[2])
for k = 3, #ARGV, 2 do
  if ARGV[k + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[k]) else redis.call('HSET', KEYS[1], ARGV[k], ARGV[k + 1]) end
end
return 1
