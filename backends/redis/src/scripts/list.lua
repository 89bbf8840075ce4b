-- KEYS: meta, parts, gone. ARGV: prefix, section or '*', revision that is known or '', start of the
--   listing or '', change after which to continue, limit of the work.
-- Reads partitions in the order of their last changes. A partition that changes meanwhile is read
-- again at the end, so after the last call the listing is of the moment of that call.
-- Returns 0 if the store is unchanged, 1 if the listing has to start again, or: revision, start,
-- whether there is more, names deleted since the start, and for each partition its name, its
-- change and its fields and values.
local revision = redis.call('HGET', KEYS[1], 'rev') or '0'
local start = ARGV[4]
if start == '' then
  if revision == ARGV[3] then return 0 end
  start = redis.call('HGET', KEYS[1], 'n') or '0'
elseif tonumber(start) < tonumber(redis.call('HGET', KEYS[1], 'floor') or '0') then
  return 1
end
local deleted = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. start, '+inf')
local page = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[5], '+inf', 'WITHSCORES', 'LIMIT', 0, 64)
local section = ARGV[2] .. '\0'
local left, more, out = tonumber(ARGV[6]), #page == 128 and 1 or 0, {}
for i = 1, #page, 2 do
  if left <= 0 then
    more = 1
    break
  end
  local key, found = ARGV[1] .. page[i], {}
  if ARGV[2] == '*' then
    found = redis.call('HGETALL', key)
  else
    for _, field in ipairs(redis.call('HKEYS', key)) do
      left = left - 0.1
      if string.sub(field, 1, #section) == section then
        found[#found + 1] = field
        found[#found + 1] = redis.call('HGET', key, field)
      end
    end
  end
  left = left - 2 - #found / 2
  out[#out + 1] = page[i]
  out[#out + 1] = page[i + 1]
  out[#out + 1] = found
end
return {revision, start, more, deleted, out}
