//! Where the server of a cache is found: at an address, by sentinels, or in a cluster.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use msal_cache_core::{Credentials, Result};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, Value, cmd,
};

use crate::error::{RedisFailure, code_of, translate};

/// The addresses that were given, and those that were learned.
pub(crate) struct Nodes {
    /// At least one.
    given: Vec<ConnectionInfo>,
    sentinel: Option<Sentinel>,
    /// The nodes of the cluster.
    learned: Mutex<BTreeSet<(String, u16)>>,
}

/// How the sentinels are asked for the primary.
#[derive(Clone, Debug)]
pub(crate) struct Sentinel {
    pub(crate) service: String,
    pub(crate) credentials: Option<Credentials>,
}

impl Nodes {
    /// The nodes of a URL with one or several hosts, separated by commas. The parameter
    /// `sentinel` of the URL says that they are sentinels.
    pub(crate) fn of(url: &str, sentinel: Option<Sentinel>) -> Result<Self> {
        let invalid = || {
            RedisFailure::Address(
                "it is not redis://, rediss://, valkey:// or valkeys:// and a host, or several hosts with \
                 commas in between",
            )
        };
        let (url, service) = without_service(url);
        let (scheme, rest) = url.split_once("://").ok_or_else(invalid)?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let user = if user.is_empty() { String::new() } else { format!("{user}@") };
        let given = hosts.split(',').map(|host| {
            let url = format!("{scheme}://{user}{host}{path}");
            url.as_str().into_connection_info().map_err(|_| invalid().into())
        });
        let sentinel = sentinel.or(service.map(|service| Sentinel { service, credentials: None }));
        Ok(Self { given: given.collect::<Result<_>>()?, sentinel, learned: Mutex::default() })
    }

    pub(crate) fn has_tls(&self) -> bool {
        matches!(self.given[0].addr(), ConnectionAddr::TcpTls { .. })
    }

    pub(crate) fn settings(&self) -> &RedisConnectionInfo {
        self.given[0].redis_settings()
    }

    /// The name of the server in errors.
    pub(crate) fn name(&self) -> String {
        let given: Vec<_> = self.given.iter().map(|it| it.addr().to_string()).collect();
        match &self.sentinel {
            Some(Sentinel { service, .. }) => {
                format!("the server {service} of the sentinels at {}", given.join(", "))
            }
            None => format!("the server at {}", given.join(", ")),
        }
    }

    /// How many addresses there are to try.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.given.len() + self.lock().len()).unwrap_or(u32::MAX)
    }

    /// The nodes to connect to, the first one that answers.
    pub(crate) async fn candidates(&self, timeout: Duration) -> Result<Vec<ConnectionInfo>> {
        let Some(sentinel) = &self.sentinel else {
            let learned = self.lock();
            let learned = learned.iter().filter_map(|(host, port)| self.node(host, *port));
            return Ok(self.given.iter().cloned().chain(learned).collect());
        };
        let mut failure = None;
        for info in &self.given {
            match sentinel.ask(info, timeout).await {
                Ok(Some((host, port))) => return Ok(self.node(&host, port).into_iter().collect()),
                Ok(None) => {
                    let (server, service) = (self.name(), sentinel.service.clone());
                    failure = Some(RedisFailure::UnknownService { server, service }.into());
                }
                Err(error) => failure = failure.or(Some(translate(&self.name(), &error))),
            }
        }
        Err(failure.unwrap_or_else(|| RedisFailure::Address("it has no host").into()))
    }

    /// The node that an error names: the one which has the slot of the cache.
    pub(crate) fn redirected(
        &self,
        from: &ConnectionInfo,
        error: &RedisError,
    ) -> Option<ConnectionInfo> {
        // While the slot moves, the other node refuses what is not marked.
        let (address, _) = error.redirect_node().filter(|_| code_of(error) == "MOVED")?;
        let (host, port) = address.rsplit_once(':')?;
        // Without a host, it is another port of the same one.
        let host = if host.is_empty() { host_of(from.addr())? } else { host };
        self.node(host.trim_matches(['[', ']']), port.parse().ok()?)
    }

    /// Remembers the nodes of the cluster, for the time when those that were given are gone.
    pub(crate) async fn learn(
        &self,
        from: &ConnectionInfo,
        connection: &mut MultiplexedConnection,
    ) {
        let slots = cmd("CLUSTER").arg("SLOTS").query_async::<Vec<Vec<Value>>>(connection).await;
        // Without the permission, the given nodes have to do.
        let Ok(slots) = slots else { return };
        let nodes = slots.into_iter().flat_map(|range| range.into_iter().skip(2));
        let nodes = nodes.filter_map(|node| match node {
            Value::Array(node) => {
                let mut node = node.into_iter();
                let (host, port) = (node.next()?, node.next()?);
                let host = redis::from_redis_value::<Option<String>>(host).ok()??;
                let host = if host.is_empty() { host_of(from.addr())?.to_owned() } else { host };
                Some((host, redis::from_redis_value(port).ok()?))
            }
            _ => None,
        });
        let nodes = nodes.collect();
        *self.lock() = nodes;
    }

    /// Another node, with the settings of the given ones.
    fn node(&self, host: &str, port: u16) -> Option<ConnectionInfo> {
        let (host, given) = (host.to_owned(), &self.given[0]);
        let addr = match given.addr() {
            ConnectionAddr::Tcp(..) => ConnectionAddr::Tcp(host, port),
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => return None,
        };
        Some(given.clone().set_addr(addr))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<(String, u16)>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sentinel {
    /// The primary that a sentinel knows.
    async fn ask(
        &self,
        info: &ConnectionInfo,
        timeout: Duration,
    ) -> redis::RedisResult<Option<(String, u16)>> {
        let mut settings = RedisConnectionInfo::default();
        if let Some(Credentials { username, password }) = &self.credentials {
            if let Some(username) = username {
                settings = settings.set_username(username);
            }
            settings = settings.set_password(password);
        }
        let client = Client::open(info.clone().set_redis_settings(settings))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout));
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut ask = cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
        ask.query_async(&mut connection).await
    }
}

/// Separates the parameter `sentinel` from a URL.
fn without_service(url: &str) -> (String, Option<String>) {
    let Some((start, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let (mut service, mut others) = (None, Vec::new());
    for parameter in query.split('&') {
        match parameter.strip_prefix("sentinel=") {
            Some(name) => service = Some(name.to_owned()),
            None => others.push(parameter),
        }
    }
    let query = if others.is_empty() { String::new() } else { format!("?{}", others.join("&")) };
    (format!("{start}{query}"), service)
}

fn host_of(address: &ConnectionAddr) -> Option<&str> {
    match address {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => Some(host),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_several_hosts_and_a_sentinel() {
        let nodes =
            Nodes::of("redis://app:p@ss@a:1,[::1]:2,c/3?sentinel=mine&protocol=resp3", None);
        let nodes = nodes.unwrap();
        let given: Vec<_> = nodes.given.iter().map(|it| it.addr().to_string()).collect();
        assert_eq!(given, ["a:1", "::1:2", "c:6379"]);
        for info in &nodes.given {
            let settings = info.redis_settings();
            assert_eq!((settings.username(), settings.db()), (Some("app"), 3));
        }
        assert_eq!(nodes.sentinel.unwrap().service, "mine");
        for url in ["redis://a:x", "http://a", "a:1", "redis://a,,b:1", ""] {
            assert!(Nodes::of(url, None).is_err(), "{url}");
        }
        let tls = Nodes::of("rediss://a:1,b:2", None).unwrap();
        assert!(tls.has_tls() && tls.sentinel.is_none());
        assert!(matches!(
            tls.node("c", 3).unwrap().addr(),
            ConnectionAddr::TcpTls { host, port: 3, insecure: false, .. } if host == "c"
        ));
    }
}
