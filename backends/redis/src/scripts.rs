//! The scripts, one for each verb. They are loaded once, and again where a server lacks them.

use std::time::Duration;

use redis::Script;

pub(crate) struct Scripts {
    pub(crate) load: Script,
    pub(crate) commit: Script,
    pub(crate) list: Script,
    pub(crate) purge: Script,
    pub(crate) sweep: Script,
    pub(crate) take: Script,
    pub(crate) renew: Script,
    pub(crate) release: Script,
}

/// KEYS: the guard. ARGV: its token, milliseconds, how many of them remain when the lease has ended, and
/// whether to take a lease that has ended. Returns 1 if it was taken.
const TAKE: &str = "local left = redis.call('PTTL', KEYS[1]) \
                    if left ~= -2 and redis.call('GET', KEYS[1]) ~= ARGV[1] \
                    and (left > tonumber(ARGV[3]) or ARGV[4] ~= '1') then return 0 end \
                    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) \
                    return 1";

/// KEYS: the guard. ARGV: its token, milliseconds.
const RENEW: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
                     return redis.call('PEXPIRE', KEYS[1], ARGV[2])";

/// KEYS: the guard. ARGV: its token.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
                       return redis.call('DEL', KEYS[1])";

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            load: Script::new(include_str!("scripts/load.lua")),
            commit: Script::new(concat!(
                include_str!("scripts/common.lua"),
                include_str!("scripts/commit.lua")
            )),
            list: Script::new(include_str!("scripts/list.lua")),
            purge: Script::new(concat!(
                include_str!("scripts/common.lua"),
                include_str!("scripts/purge.lua")
            )),
            sweep: sweep(),
            take: Script::new(TAKE),
            renew: Script::new(RENEW),
            release: Script::new(RELEASE),
        }
    }
}

/// Deletes what is over.
pub(crate) fn sweep() -> Script {
    Script::new(concat!(include_str!("scripts/common.lua"), include_str!("scripts/sweep.lua")))
}

/// A time in milliseconds, as the scripts have it; 0 if there is none.
pub(crate) fn millis(time: Option<Duration>) -> u64 {
    time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1))
}
