use crate::{Error, Partition, Record, Result, Revision};

/// The result of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// What is stored is still at the revision that the caller knows.
    Unchanged,
    /// The records and their revision.
    Snapshot(Snapshot),
}

/// Records as they were at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    revision: Revision,
    records: Vec<Record>,
}

impl Snapshot {
    /// These records, in their order, at a revision that names exactly them.
    pub fn new(revision: Revision, records: Vec<Record>) -> Self {
        Self { revision, records }
    }

    /// The revision, which names exactly these records.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The records, in order.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The records, without a copy.
    pub fn into_records(self) -> Vec<Record> {
        self.records
    }
}

/// Reads several partitions one by one until all of them are known to be of one moment: decides
/// what to load next, for callers that block and callers that await.
pub(crate) struct ConsistentRead<'a> {
    wanted: &'a [(&'a Partition, Option<Revision>)],
    loads: Vec<Load>,
    /// The number of loads so far.
    count: usize,
    /// The number of latest loads that are known to be of one moment.
    steady: usize,
}

/// How often each partition is read at most.
const ATTEMPTS: u32 = 64;

impl<'a> ConsistentRead<'a> {
    pub(crate) fn new(wanted: &'a [(&'a Partition, Option<Revision>)]) -> Self {
        Self { wanted, loads: Vec::with_capacity(wanted.len()), count: 0, steady: 0 }
    }

    /// What to load next; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(&'a Partition, Option<Revision>)>> {
        if self.loads.len() == self.wanted.len() && self.steady >= self.wanted.len() {
            return Ok(None);
        }
        if self.count >= self.wanted.len() * ATTEMPTS as usize {
            // Not a conflict, whose retries would multiply the attempts.
            return Err(Error::Contended { place: "the partitions".into(), attempts: ATTEMPTS });
        }
        let at = self.count % self.wanted.len();
        let (partition, known) = self.wanted[at];
        let known = match self.loads.get(at) {
            Some(Load::Snapshot(snapshot)) => Some(snapshot.revision()),
            Some(Load::Unchanged) | None => known,
        };
        self.count += 1;
        Ok(Some((partition, known)))
    }

    /// Takes the result of a load.
    pub(crate) fn read(&mut self, load: Load) {
        let at = (self.count - 1) % self.wanted.len();
        match (self.loads.get_mut(at), load) {
            (None, load) => {
                self.loads.push(load);
                // What was read before may have changed since.
                self.steady = 1;
            }
            (Some(_), Load::Unchanged) => self.steady += 1,
            (Some(old), new @ Load::Snapshot(_)) => {
                *old = new;
                self.steady = 1;
            }
        }
    }

    pub(crate) fn finish(self) -> Vec<Load> {
        self.loads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads from a store of revisions, and counts the loads.
    fn read(
        wanted: &[(&Partition, Option<Revision>)],
        mut stored: impl FnMut(usize, &Partition) -> Revision,
    ) -> Result<(Vec<Revision>, usize)> {
        let (mut reading, mut looks) = (ConsistentRead::new(wanted), 0);
        while let Some((partition, known)) = reading.next()? {
            let revision = stored(looks, partition);
            looks += 1;
            reading.read(if known == Some(revision) {
                Load::Unchanged
            } else {
                Load::Snapshot(Snapshot::new(revision, Vec::new()))
            });
        }
        let revision = |(load, (_, known)): (Load, &(&Partition, Option<Revision>))| match load {
            Load::Unchanged => known.unwrap(),
            Load::Snapshot(snapshot) => snapshot.revision(),
        };
        Ok((reading.finish().into_iter().zip(wanted).map(revision).collect(), looks))
    }

    #[test]
    fn partitions_are_read_again_until_none_has_changed() {
        let revision = Revision::from_u128;
        let [a, b] = ["a", "b"].map(Partition::user);
        let wanted = [(&a, None), (&b, Some(revision(7)))];
        let steady = |_: usize, of: &Partition| revision(if *of == a { 1 } else { 7 });
        assert_eq!(read(&wanted, steady).unwrap(), (vec![revision(1), revision(7)], 3));
        // A commit changes both between the first two loads.
        let moving = |look: usize, of: &Partition| {
            revision(if look == 0 {
                1
            } else if *of == a {
                2
            } else {
                8
            })
        };
        assert_eq!(read(&wanted, moving).unwrap(), (vec![revision(2), revision(8)], 4));
        assert_eq!(read(&wanted[..1], steady).unwrap(), (vec![revision(1)], 1));
        assert_eq!(read(&[], steady).unwrap(), (vec![], 0));
    }

    #[test]
    fn partitions_that_keep_changing_are_contended() {
        let [a, b] = ["a", "b"].map(Partition::user);
        let wanted = [(&a, None), (&b, None)];
        let changing = |look: usize, _: &Partition| Revision::from_u128(look as u128 + 1);
        assert!(matches!(read(&wanted, changing), Err(Error::Contended { attempts: 64, .. })));
    }
}
