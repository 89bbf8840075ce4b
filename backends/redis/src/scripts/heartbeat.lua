-- KEYS: meta, parts, gone. ARGV: the last change that is known, or ''; the most names to read.
-- Returns the role of the server, a change, what follows it (0: nothing, 1: more changes, 2: the
-- known change is not part of the history), and the names of the partitions that have changed from
-- the one change to the other.
local role = string.match(redis.call('INFO', 'replication'), 'role:(%a+)')
local last = redis.call('HGET', KEYS[1], 'n') or '0'
local known, most = ARGV[1], tonumber(ARGV[2])
if known == '' or known == last then return {role, last, 0, {}} end
local floor = redis.call('HGET', KEYS[1], 'floor') or '0'
if tonumber(last) < tonumber(known) or tonumber(known) < tonumber(floor) then
  return {role, last, 2, {}}
end
local names, more = {}, 0
for i = 2, 3 do
  local page = redis.call('ZRANGEBYSCORE', KEYS[i], '(' .. known, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
  for j = 1, #page, 2 do names[#names + 1] = page[j] end
  if #page == 2 * most then
    more = 1
    if tonumber(page[#page]) < tonumber(last) then last = page[#page] end
  end
end
return {role, last, more, names}
