use crate::model::{Cloud, Clouds};

/// The hosts of one cloud, as one of them sees it: itself first, then all in the order of the cloud.
#[derive(Clone, Debug)]
pub(crate) struct Hosts(Vec<String>);

impl Hosts {
    /// The hosts of the cloud to which this one belongs.
    pub(crate) fn of(clouds: &Clouds, host: &str) -> Self {
        let all = clouds.of(host).into_iter().flat_map(Cloud::aliases);
        Self([host.to_lowercase()].into_iter().chain(all.map(str::to_owned)).collect())
    }

    /// The first host in alphabetical order, by which the cloud is known.
    pub(crate) fn first(&self) -> &str {
        self.0.iter().min().map_or("", String::as_str)
    }

    /// How near a host is: 0 is the own one. `None` is another cloud.
    #[inline]
    pub(crate) fn rank(&self, host: Option<&str>) -> Option<usize> {
        let host = host?;
        let rank = |host: &str| self.0.iter().position(|it| it == host);
        // Other libraries may write it in another case.
        rank(host).or_else(|| rank(&host.to_lowercase()))
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
    fn an_unknown_host_is_a_cloud_of_its_own() {
        let hosts = Hosts::of(&Clouds::default(), "login.example");
        assert_eq!(hosts.rank(Some("login.example")), Some(0));
        assert_eq!(hosts.rank(Some("login.microsoftonline.com")), None);
    }
}
