use std::collections::BTreeMap;

use crate::model::{Cloud, Clouds};

/// The hosts of one cloud, as one of them sees it.
#[derive(Clone, Debug)]
pub(crate) struct Hosts(BTreeMap<String, usize>);

impl Hosts {
    /// The hosts of the cloud to which this one belongs: this one first, then the others in their
    /// order.
    pub(crate) fn of(clouds: &Clouds, host: &str) -> Self {
        let mut ranks = BTreeMap::from([(host.to_lowercase(), 0)]);
        let others = clouds.of(host).into_iter().flat_map(Cloud::aliases);
        for (at, other) in others.enumerate() {
            ranks.entry(other.to_owned()).or_insert(at + 1);
        }
        Self(ranks)
    }

    /// The first host in alphabetical order, by which the cloud is known.
    pub(crate) fn first(&self) -> &str {
        self.0.first_key_value().map_or("", |(host, _)| host)
    }

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
        let hosts = Hosts::of(&Clouds::default(), "Login.Windows.net");
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
        let hosts = Hosts::of(&Clouds::default(), "login.example");
        assert_eq!(hosts.rank(Some("login.example")), Some(0));
        assert_eq!(hosts.rank(Some("login.microsoftonline.com")), None);
    }
}
