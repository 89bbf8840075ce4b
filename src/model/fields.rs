use std::fmt;

use msal_cache_core::{Error, Result};
use serde_json::{Map, Value};
use zeroize::Zeroize;

/// Named JSON values: a token response, the data of a request, the changes to an entry.
///
/// Any value may be a secret, so `Debug` prints the names only, and the strings are overwritten when
/// the fields are dropped.
///
/// ```
/// let fields = msal_cache::Fields::new().set("access_token", "s3cret").set("expires_in", 3600);
/// assert_eq!(format!("{fields:?}"), r#"Fields{"access_token", "expires_in"}"#);
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the fields of a JSON object.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] where the text is not JSON, [`Error::Invalid`] where it is not an object.
    pub fn from_json(json: &str) -> Result<Self> {
        let value: Value =
            serde_json::from_str(json).map_err(|error| Error::not_json("fields", &error))?;
        Self::from_value("fields", value)
    }

    /// Adds a field, or changes it.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        if let Some(mut old) = self.0.insert(name.into(), value.into()) {
            wipe(&mut old);
        }
        self
    }

    /// The value of a field, secrets included; `None` where it is missing or `null`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names and values, secrets included, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(crate) fn from_value(field: &str, value: Value) -> Result<Self> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            mut other => {
                let found = kind(&other);
                wipe(&mut other);
                Err(Error::invalid(field, format!("it is {found} instead of an object")))
            }
        }
    }

    /// Removes a field, and returns its value.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// Whether the field exists, even if it is `null`.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fields")?;
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

/// The type of a JSON value, for an error.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Whether Python takes a value for true. MSAL Python treats many members as missing otherwise.
pub(crate) fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(it) => *it,
        Value::Number(it) => it.as_f64() != Some(0.0),
        Value::String(it) => !it.is_empty(),
        Value::Array(it) => !it.is_empty(),
        Value::Object(it) => !it.is_empty(),
    }
}

/// Overwrites every text in a value.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
