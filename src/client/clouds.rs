use std::collections::BTreeMap;
use std::sync::Arc;

/// Which hosts are one cloud: a token that one of them issued is good for all, and the libraries
/// store it under one or another.
///
/// The [default](Clouds::default) is what the servers tell of themselves in their instance
/// discovery, and what MSAL Node, .NET and Go ship: the public cloud, China, the US Government,
/// and the clouds that have one host. An app for another cloud, or one that wants no more than its
/// own host, gives its own.
///
/// ```
/// use msal_cache::{Clouds, TokenCache};
///
/// let own = Clouds::new([["login.example.org", "sts.example.org"]]);
/// let client = TokenCache::in_memory()
///     .client("client-id", "https://login.example.org/tenant")
///     .with_clouds(own);
/// # let _ = client;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clouds(Vec<Arc<[String]>>);

/// The first host of each is the one that the servers name as `preferred_network`.
const KNOWN: [&[&str]; 9] = [
    &["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"],
    &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
    &["login.microsoftonline.us", "login.usgovcloudapi.net"],
    &["login-us.microsoftonline.com"],
    &["login.microsoftonline.de"],
    &["login.sovcloud-identity.fr"],
    &["login.sovcloud-identity.de"],
    &["login.sovcloud-identity.sg"],
    &["login.windows-ppe.net", "sts.windows-ppe.net", "login.microsoft-ppe.com"],
];

impl Clouds {
    /// Clouds with these hosts. A host that is in none of them is a cloud of its own.
    pub fn new<H: Into<String>>(
        clouds: impl IntoIterator<Item = impl IntoIterator<Item = H>>,
    ) -> Self {
        let cloud = |hosts: Vec<String>| hosts.into_iter().map(|it| it.to_lowercase()).collect();
        let clouds = clouds.into_iter().map(|hosts| hosts.into_iter().map(Into::into).collect());
        Self(clouds.map(cloud).collect())
    }

    /// The hosts of the cloud to which this one belongs: this one first, then the others in their
    /// order.
    pub(crate) fn of(&self, host: &str) -> Hosts {
        let host = host.to_lowercase();
        let cloud = self.0.iter().find(|hosts| hosts.contains(&host));
        let others = cloud.map_or(&[][..], |hosts| hosts);
        let mut ranks = BTreeMap::from([(host, 0)]);
        for (at, other) in others.iter().enumerate() {
            ranks.entry(other.clone()).or_insert(at + 1);
        }
        Hosts(ranks)
    }
}

impl Default for Clouds {
    fn default() -> Self {
        Self::new(KNOWN.map(|hosts| hosts.iter().copied()))
    }
}

/// The hosts of one cloud, as one of them sees it.
#[derive(Clone, Debug)]
pub(crate) struct Hosts(BTreeMap<String, usize>);

impl Hosts {
    /// How near a host is: 0 is the own one. `None` is another cloud.
    pub(crate) fn rank(&self, host: Option<&str>) -> Option<usize> {
        let host = host?;
        match self.0.get(host) {
            Some(rank) => Some(*rank),
            // Other libraries may write it in another case.
            None => self.0.get(&host.to_lowercase()).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_host_is_the_nearest_and_another_cloud_is_none() {
        let hosts = Clouds::default().of("Login.Windows.net");
        assert_eq!(hosts.rank(Some("login.windows.net")), Some(0));
        assert_eq!(hosts.rank(Some("LOGIN.microsoftonline.com")), Some(1));
        assert_eq!(hosts.rank(Some("sts.windows.net")), Some(4));
        for other in ["login.microsoftonline.us", "login.chinacloudapi.cn", "windows.net", ""] {
            assert_eq!(hosts.rank(Some(other)), None, "{other}");
        }
        assert_eq!(hosts.rank(None), None);
    }

    #[test]
    fn a_host_that_nobody_knows_is_a_cloud_of_its_own() {
        let hosts = Clouds::default().of("login.example");
        assert_eq!(hosts.rank(Some("login.example")), Some(0));
        assert_eq!(hosts.rank(Some("login.microsoftonline.com")), None);
    }

    #[test]
    fn no_host_is_in_two_clouds() {
        let mut hosts: Vec<_> = KNOWN.concat();
        let all = hosts.len();
        hosts.sort_unstable();
        hosts.dedup();
        assert_eq!(hosts.len(), all);
    }
}
