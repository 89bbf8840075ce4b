//! The statements of a store.

/// A statement that each connection prepares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Load,
    LoadMany,
    Commit,
    Settle,
    Whole,
    List,
    ListAll,
    Purge,
}

/// Returns no row if the partition has none, and one without a record if it is at the known
/// revision, or empty.
const LOAD: &str = "\
    SELECT p.revision, r.section, r.key, r.value \
    FROM {partitions} p LEFT JOIN {records} r \
        ON p.revision IS DISTINCT FROM $3 AND r.cache = p.cache AND r.partition = p.id \
    WHERE p.cache = $1 AND p.id = $2 ORDER BY r.position";

/// The same for several partitions, in their order.
const LOAD_MANY: &str = "\
    SELECT w.at, p.revision, r.section, r.key, r.value \
    FROM unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY AS w(id, known, at) \
    JOIN {partitions} p ON p.cache = $1 AND p.id = w.id \
    LEFT JOIN {records} r \
        ON p.revision IS DISTINCT FROM w.known AND r.cache = p.cache AND r.partition = p.id \
    ORDER BY w.at, r.position";

/// The revision of the whole is a hash of the last changes of all sessions.
const WHOLE: &str = "\
    SELECT coalesce(sha256(string_agg(uuid_send(revision), '' ORDER BY id)), '') AS revision \
    FROM {sessions} WHERE cache = $1";

impl Call {
    pub(crate) const ALL: [Self; 8] = [
        Self::Load,
        Self::LoadMany,
        Self::Commit,
        Self::Settle,
        Self::Whole,
        Self::List,
        Self::ListAll,
        Self::Purge,
    ];

    /// The statement, in which each `{object}` has to be replaced by its name.
    pub(crate) fn sql(self) -> String {
        let list = |condition| {
            format!(
                "WITH whole AS ({WHOLE}) \
                 SELECT w.revision, r.section, r.key, r.value FROM whole w \
                 LEFT JOIN {{records}} r ON r.cache = $1{condition} ORDER BY r.position"
            )
        };
        match self {
            Self::Load => LOAD.into(),
            Self::LoadMany => LOAD_MANY.into(),
            Self::Commit => {
                "SELECT {commit}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)".into()
            }
            Self::Settle => "SELECT {settle}($1, $2, $3)".into(),
            Self::Whole => WHOLE.into(),
            Self::List => list(" AND r.section = $2"),
            Self::ListAll => list(""),
            Self::Purge => "SELECT {purge}($1, $2, $3, $4, $5)".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_at_its_number() {
        for (at, call) in Call::ALL.into_iter().enumerate() {
            assert_eq!(call as usize, at);
        }
    }
}
