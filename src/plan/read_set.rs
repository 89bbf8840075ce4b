use std::sync::Arc;

use msal_cache_core::Partition;
use smallvec::SmallVec;

use crate::model::Decoded;

/// The partitions that a plan is based on: two or three.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadSet {
    partitions: SmallVec<[(Partition, Arc<Decoded>); 3]>,
    /// Whether some of them may have changed since: the commit then expects all of them unchanged.
    pub(crate) may_be_stale: bool,
}

impl ReadSet {
    pub(crate) fn insert(&mut self, partition: Partition, stored: Arc<Decoded>) {
        self.partitions.push((partition, stored));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Partition, &Decoded)> {
        self.partitions.iter().map(|(partition, stored)| (partition, &**stored))
    }

    pub(crate) fn get(&self, partition: &Partition) -> Option<&Decoded> {
        self.partitions.iter().find(|(it, _)| it == partition).map(|(_, stored)| &**stored)
    }

    /// A partition, to keep; an empty one where it wasn't read.
    pub(crate) fn shared(&self, partition: &Partition) -> Arc<Decoded> {
        let found = self.partitions.iter().find(|(it, _)| it == partition);
        found.map(|(_, stored)| stored.clone()).unwrap_or_default()
    }
}
