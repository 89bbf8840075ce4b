-- KEYS: meta, own, exp, parts, gone, due, then the hash of each changed partition.
-- ARGV: prefix, revision, limit of idle time, prefix of guards, 'again' or '', then for each change: name, expected
--   revision or '', token of the guard or '', number of operations, and the operations:
--   'p' field expiry-or-'' value, or 'd' field.
-- Returns the revisions and the names of other partitions that lost a record, 0 for a conflict, -1 where a guard was lost.
local guards = ARGV[4]
-- The answer to this commit was lost, and it is sent again: was it applied?
local applied = ARGV[5] ~= '' and redis.call('HGET', meta, 'rev') == revision
local before, out, at = {}, {}, 6
for i = 7, #KEYS do
  local name, expected, token, count = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  before[i - 6] = stored_revision(name)
  if not applied then
    if expected ~= '' and before[i - 6] ~= expected then return 0 end
    if token ~= '' and redis.call('GET', guards .. name) ~= token then return -1 end
  end
  at = at + 4
  for _ = 1, count do
    if ARGV[at] == 'p' then
      local owner = redis.call('HGET', own, ARGV[at + 1])
      if owner and owner ~= name then stored_revision(owner) end
      at = at + 4
    else
      at = at + 2
    end
  end
end
if foreign then return redis.error_reply('MSALFOREIGN not a partition') end
if applied then return before end

local names = {}
at = 6
for i = 7, #KEYS do
  local key, name, count = KEYS[i], ARGV[at], tonumber(ARGV[at + 3])
  names[i - 6] = name
  at = at + 4
  for _ = 1, count do
    local field = ARGV[at + 1]
    local old = redis.call('HGET', key, field)
    if ARGV[at] == 'p' then
      local expires, value = ARGV[at + 2], ARGV[at + 3]
      at = at + 4
      local position
      if old then
        position = string.match(old, '^%d+') or '0'
      else
        local owner = redis.call('HGET', own, field)
        if owner and owner ~= name then
          local was = redis.call('HDEL', prefix .. owner, field)
          if not redis.call('ZSCORE', exp, field) then kept[owner] = kept[owner] - was end
          touch(owner)
        end
        position = redis.call('HINCRBY', meta, 'n', 1)
        redis.call('HSET', own, field, name)
      end
      local new = position .. ':' .. value
      if new ~= old then
        touch(name)
        redis.call('HSET', key, field, new)
        if expires ~= '' then
          local is_new = redis.call('ZADD', exp, expires, field)
          if old then kept[name] = kept[name] - is_new end
          latest[name] = math.max(latest[name], expires)
        else
          local expired = redis.call('ZREM', exp, field)
          if expired == 1 or not old then kept[name] = kept[name] + 1 end
        end
      end
    else
      at = at + 2
      if old then
        touch(name)
        redis.call('HDEL', key, field)
        redis.call('HDEL', own, field)
        kept[name] = kept[name] - 1 + redis.call('ZREM', exp, field)
      end
    end
  end
end
finish()
for i, name in ipairs(names) do
  out[i] = revisions[name] or before[i]
  revisions[name] = nil
end
for _, name in ipairs(touched) do
  if revisions[name] then out[#out + 1] = name end
end
return out
