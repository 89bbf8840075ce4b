use std::sync::OnceLock;

use crate::model::{Cloud, Clouds};

/// The clouds whose hosts a cache knows: those of its options, and those that it has learned since. What has
/// been lent stays as it is, so that it grows by a link at a time.
pub(crate) struct KnownClouds {
    clouds: Clouds,
    next: OnceLock<Box<Self>>,
}

impl KnownClouds {
    pub(crate) fn new(clouds: Clouds) -> Self {
        Self { clouds, next: OnceLock::new() }
    }

    /// All that are known now.
    pub(crate) fn latest(&self) -> &Clouds {
        &self.last().clouds
    }

    /// Adds a cloud, unless one of its hosts is known: what a server says changes no cloud that the app has
    /// configured or that Microsoft has published.
    pub(crate) fn learn(&self, cloud: &Cloud) {
        loop {
            let last = self.last();
            if cloud.aliases().any(|host| last.clouds.of(host).is_some()) {
                return;
            }
            let next = Self::new(last.clouds.clone().with(cloud.clone()));
            if last.next.set(Box::new(next)).is_ok() {
                return;
            }
        }
    }

    fn last(&self) -> &Self {
        let mut last = self;
        while let Some(next) = last.next.get() {
            last = next;
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_cloud_is_learned_once_and_changes_no_known_one() {
        let known = KnownClouds::new(Clouds::default());
        let lent = known.latest();
        let own = Cloud::new("login.private.example").alias("sts.private.example");
        known.learn(&own);
        known.learn(&own);
        assert_eq!(known.latest().of("sts.private.example"), Some(&own));
        assert_eq!(lent, &Clouds::default());
        for host in ["login.windows.net", "STS.private.example"] {
            known.learn(&Cloud::new("login.evil.example").alias(host.to_owned()));
            assert_eq!(known.latest().of("login.evil.example"), None, "{host}");
        }
        assert_eq!(known.latest(), &Clouds::default().with(own));
    }

    #[test]
    fn clouds_that_threads_learn_at_once_are_all_known() {
        let known = KnownClouds::new(Clouds::none());
        thread::scope(|scope| {
            for number in 0..8 {
                let known = &known;
                scope.spawn(move || known.learn(&Cloud::new(format!("login{number}.example"))));
            }
        });
        for number in 0..8 {
            assert!(known.latest().of(&format!("login{number}.example")).is_some(), "{number}");
        }
    }
}
