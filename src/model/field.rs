//! The fields of the schema that are looked at again and again.

macro_rules! fields {
    ($($field:ident = $name:literal),* $(,)?) => {
        /// One of them. The others are found in the JSON when they are asked for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Field { $($field),* }

        /// How many there are.
        pub(crate) const FIELDS: usize = [$($name),*].len();

        impl Field {
            pub(crate) fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$field),)*
                    _ => None,
                }
            }

            /// The name that it has in the schema.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$field => $name),*
                }
            }
        }
    };
}

fields! {
    HomeAccountId = "home_account_id",
    Environment = "environment",
    ClientId = "client_id",
    Realm = "realm",
    Target = "target",
    Secret = "secret",
    TokenType = "token_type",
    CachedAt = "cached_at",
    ExpiresOn = "expires_on",
    ExtendedExpiresOn = "extended_expires_on",
    RefreshOn = "refresh_on",
    KeyId = "key_id",
    FamilyId = "family_id",
    LastModificationTime = "last_modification_time",
    LocalAccountId = "local_account_id",
    Username = "username",
    AuthorityType = "authority_type",
    AccountSource = "account_source",
}
