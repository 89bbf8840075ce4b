//! Clouds and their hosts.

use std::borrow::Cow;

/// The hosts of one cloud. An authority can be addressed by any of them; the tokens are the same.
///
/// ```
/// use msal_cache::cloud::Cloud;
///
/// let own = Cloud::new("login.contoso.example").alias("sts.contoso.example");
/// assert_eq!(own.preferred_cache(), "login.contoso.example");
/// assert!(own.has("STS.Contoso.example"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloud {
    aliases: Vec<Cow<'static, str>>,
    preferred_cache: Cow<'static, str>,
}

impl Cloud {
    /// A cloud with this host only.
    pub fn new(preferred_network: impl Into<Cow<'static, str>>) -> Self {
        let host = lower(preferred_network.into());
        Self { aliases: vec![host.clone()], preferred_cache: host }
    }

    /// Adds another host.
    pub fn alias(mut self, host: impl Into<Cow<'static, str>>) -> Self {
        let host = lower(host.into());
        if !self.has(&host) {
            self.aliases.push(host);
        }
        self
    }

    /// Sets the host that MSAL Node, .NET and Java write into the cache, whichever host they are
    /// configured with.
    pub fn cached_as(mut self, host: impl Into<Cow<'static, str>>) -> Self {
        self.preferred_cache = lower(host.into());
        let host = self.preferred_cache.clone();
        self.alias(host)
    }

    /// The host to send requests to (`preferred_network` of instance discovery).
    pub fn preferred_network(&self) -> &str {
        self.aliases.first().map_or("", |host| host)
    }

    /// The host that MSAL Node, .NET and Java write into the cache (`preferred_cache`).
    pub fn preferred_cache(&self) -> &str {
        &self.preferred_cache
    }

    /// All hosts, in lower case.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.aliases.iter().map(|host| &**host)
    }

    /// Whether this is one of its hosts, ignoring case.
    pub fn has(&self, host: &str) -> bool {
        self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(host))
    }
}

/// The clouds whose hosts a cache knows.
///
/// The default is the table that MSAL Node, .NET and Go are built with
/// (`AuthorityMetadata.ts`, `KnownMetadataProvider.cs`, `known_metadata.go`), without a request to
/// the network: the public cloud, China and US Government. A cloud with one host needs no entry: a
/// host that is not listed is a cloud of its own.
///
/// ```
/// use msal_cache::cloud::{Cloud, Clouds};
///
/// let clouds = Clouds::default();
/// assert!(clouds.are_one("login.microsoftonline.com", "login.windows.net"));
/// assert!(!clouds.are_one("login.microsoftonline.com", "login.microsoftonline.us"));
/// assert!(clouds.are_one("login.example", "LOGIN.example"));
///
/// let more = clouds.with(Cloud::new("login.example").alias("sts.example"));
/// assert!(more.are_one("login.example", "sts.example"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clouds(Vec<Cloud>);

impl Default for Clouds {
    fn default() -> Self {
        Self(vec![
            Cloud::new("login.microsoftonline.com")
                .cached_as("login.windows.net")
                .alias("login.microsoft.com")
                .alias("sts.windows.net"),
            Cloud::new("login.partner.microsoftonline.cn").alias("login.chinacloudapi.cn"),
            Cloud::new("login.microsoftonline.us").alias("login.usgovcloudapi.net"),
        ])
    }
}

impl Clouds {
    /// No clouds: each host is a cloud of its own.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Adds a cloud. It replaces those that have one of its hosts.
    pub fn with(mut self, cloud: Cloud) -> Self {
        self.0.retain(|known| !cloud.aliases().any(|host| known.has(host)));
        self.0.push(cloud);
        self
    }

    /// The cloud of a host, ignoring case; `None` for a host that is a cloud of its own.
    pub fn of(&self, host: &str) -> Option<&Cloud> {
        self.0.iter().find(|cloud| cloud.has(host))
    }

    /// Whether two hosts belong to one cloud.
    pub fn are_one(&self, one: &str, other: &str) -> bool {
        one.eq_ignore_ascii_case(other) || self.of(one).is_some_and(|cloud| cloud.has(other))
    }
}

fn lower(host: Cow<'static, str>) -> Cow<'static, str> {
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        host.to_ascii_lowercase().into()
    } else {
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_cloud_has_four_names_and_is_cached_under_the_oldest() {
        let clouds = Clouds::default();
        let public = clouds.of("Login.MicrosoftOnline.com").unwrap();
        assert_eq!(public.preferred_network(), "login.microsoftonline.com");
        assert_eq!(public.preferred_cache(), "login.windows.net");
        let hosts: Vec<_> = public.aliases().collect();
        assert_eq!(
            hosts,
            [
                "login.microsoftonline.com",
                "login.windows.net",
                "login.microsoft.com",
                "sts.windows.net"
            ]
        );
    }

    #[test]
    fn clouds_share_no_name() {
        let clouds = Clouds::default();
        for one in &clouds.0 {
            for host in one.aliases() {
                assert_eq!(clouds.0.iter().filter(|cloud| cloud.has(host)).count(), 1, "{host}");
                assert!(one.has(one.preferred_cache()) && one.has(one.preferred_network()));
            }
        }
    }

    #[test]
    fn a_cloud_replaces_those_that_it_shares_a_name_with() {
        let own = Cloud::new("Login.Microsoft.com").alias("login.example");
        let clouds = Clouds::default().with(own.clone());
        assert_eq!(clouds.of("login.example"), Some(&own));
        assert_eq!(clouds.of("login.windows.net"), None);
        assert!(Clouds::none().of("login.windows.net").is_none());
    }
}
