-- KEYS: the hash of each partition. ARGV: the revision that is known of each, or ''.
-- Returns for each: 0 if it is unchanged, or its fields and values.
local out = {}
for i, key in ipairs(KEYS) do
  if (redis.call('HGET', key, 'r') or '0') == ARGV[i] then
    out[i] = 0
  else
    out[i] = redis.call('HGETALL', key)
  end
end
return out
