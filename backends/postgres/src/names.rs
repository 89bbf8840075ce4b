//! The names of the tables and functions.

use msal_cache_core::{Error, Result};

const SCHEMA_VERSION_1: &str = include_str!("../migrations/1.sql");

/// Where the tables are: a schema, and what their names begin with.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) schema: String,
    pub(crate) prefix: String,
}

/// The longest part of a name: the server cuts a name after 63 bytes.
const LONGEST: usize = 48;

impl Names {
    /// The tables whose rows belong to a cache.
    const TABLES: [&str; 5] = ["partitions", "records", "sessions", "guards", "listeners"];

    pub(crate) fn new(schema: String, prefix: String) -> Result<Self> {
        for (field, name) in [("schema", &schema), ("prefix", &prefix)] {
            let plain = |it: char| it.is_ascii_alphanumeric() || it == '_';
            if name.is_empty() || name.len() > LONGEST || !name.chars().all(plain) {
                let reason = "must have 1 to 48 ASCII letters, digits and underscores";
                return Err(Error::invalid(field, reason));
            }
        }
        Ok(Self { schema, prefix })
    }

    /// The name of a table, sequence or function, as SQL has it.
    pub(crate) fn of(&self, object: &str) -> String {
        format!("\"{}\".\"{}{object}\"", self.schema, self.prefix)
    }

    /// A statement in which each `{object}` is replaced by its name.
    pub(crate) fn sql(&self, template: &str) -> String {
        let objects = [
            "version",
            "partitions",
            "records",
            "positions",
            "sessions",
            "guards",
            "claim",
            "listeners",
            "enter",
            "lease",
            "stamp",
            "settle",
            "commit",
            "fenced",
            "purge",
        ];
        objects.iter().fold(template.to_owned(), |sql, object| {
            sql.replace(&format!("{{{object}}}"), &self.of(object))
        })
    }

    /// The statements that create everything.
    pub(crate) fn ddl(&self) -> String {
        self.sql(SCHEMA_VERSION_1)
    }

    /// The statements that let each role see only the cache that has its name.
    pub(crate) fn row_level_security(&self) -> String {
        let policy = |object| {
            let table = self.of(object);
            format!(
                "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;\n\
                 CREATE POLICY own_cache ON {table} USING (cache = current_user);"
            )
        };
        Self::TABLES.map(policy).join("\n")
    }

    /// The rights that an application needs.
    pub(crate) fn grants(&self, role: &str) -> String {
        let tables = Self::TABLES.map(|it| self.of(it)).join(", ");
        format!(
            "GRANT USAGE ON SCHEMA \"{}\" TO {role};\n\
             GRANT SELECT ON {} TO {role};\n\
             GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {role};\n\
             GRANT USAGE ON SEQUENCE {} TO {role};",
            self.schema,
            self.of("version"),
            self.of("positions"),
        )
    }
}

/// A name as SQL has it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_needs_quotes_is_refused() {
        for name in ["", "a b", "a\"b", "a'b", "a;b", &"a".repeat(49)] {
            assert!(Names::new(name.into(), "msal_".into()).is_err(), "{name}");
            assert!(Names::new("public".into(), name.into()).is_err(), "{name}");
        }
    }

    #[test]
    fn every_name_of_the_ddl_is_replaced() {
        let names = Names::new("s".into(), "p_".into()).unwrap();
        let ddl = names.ddl();
        assert!(ddl.contains("CREATE TABLE \"s\".\"p_records\""));
        assert!(!ddl.contains("{records}") && !ddl.contains("{commit}"));
    }
}
