//! The statements of a store.

use tokio_postgres::types::Type;

/// A statement that each connection prepares, unless a pooler gives the connection to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Load,
    LoadMany,
    Commit,
    /// A commit of a client that holds leases.
    Fenced,
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
    pub(crate) const ALL: [Self; 9] = [
        Self::Load,
        Self::LoadMany,
        Self::Commit,
        Self::Fenced,
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
            Self::Fenced => {
                "SELECT {fenced}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
                    .into()
            }
            Self::Settle => "SELECT {settle}($1, $2, $3)".into(),
            Self::Whole => WHOLE.into(),
            Self::List => list(" AND r.section = $2"),
            Self::ListAll => list(""),
            Self::Purge => "SELECT {purge}($1, $2, $3, $4, $5)".into(),
        }
    }

    /// The types of the parameters.
    pub(crate) fn types(self) -> &'static [Type] {
        const FENCED: &[Type] = &[
            Type::UUID_ARRAY,
            Type::UUID_ARRAY,
            Type::TEXT,
            Type::UUID,
            Type::UUID_ARRAY,
            Type::UUID_ARRAY,
            Type::UUID,
            Type::INT4_ARRAY,
            Type::INT4_ARRAY,
            Type::UUID_ARRAY,
            Type::BYTEA_ARRAY,
            Type::BYTEA_ARRAY,
            Type::BYTEA_ARRAY,
            Type::INT8_ARRAY,
        ];
        match self {
            Self::Load | Self::Settle => const { &[Type::TEXT, Type::UUID, Type::UUID] },
            Self::LoadMany => const { &[Type::TEXT, Type::UUID_ARRAY, Type::UUID_ARRAY] },
            Self::Commit => &FENCED[2..],
            Self::Fenced => FENCED,
            Self::Whole | Self::ListAll => const { &[Type::TEXT] },
            Self::List => const { &[Type::TEXT, Type::BYTEA] },
            Self::Purge => const { &[Type::TEXT, Type::UUID, Type::INT8, Type::UUID, Type::INT4] },
        }
    }

    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::Commit | Self::Fenced | Self::Settle | Self::Purge)
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
