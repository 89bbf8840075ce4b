//! Names of tenants.

/// The tenant of personal Microsoft accounts, which is also called [`CONSUMERS`].
pub(crate) const CONSUMERS_ID: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

const CONSUMERS: &str = "consumers";

/// Whether two names are those of one tenant. ASCII case is ignored, as in MSAL Go and .NET. Whether
/// a domain and a GUID are one tenant, only the server knows.
#[inline]
pub(crate) fn same_tenant(one: &str, other: &str) -> bool {
    let is = |name: &str, wanted: &str| name.eq_ignore_ascii_case(wanted);
    is(one, other)
        || (is(one, CONSUMERS) && is(other, CONSUMERS_ID))
        || (is(one, CONSUMERS_ID) && is(other, CONSUMERS))
}

/// The same text for each name of one tenant.
pub(crate) fn tenant_key(name: &str) -> String {
    if same_tenant(name, CONSUMERS) { CONSUMERS_ID.into() } else { name.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::{CONSUMERS_ID, same_tenant, tenant_key};

    #[test]
    fn names_of_one_tenant_are_equal() {
        for (one, other, same) in [
            ("Contoso.com", "contoso.COM", true),
            ("consumers", CONSUMERS_ID, true),
            ("CONSUMERS", &CONSUMERS_ID.to_uppercase(), true),
            ("common", "organizations", false),
            ("common", CONSUMERS_ID, false),
            ("contoso.com", "contoso.onmicrosoft.com", false),
            ("", "t", false),
        ] {
            assert_eq!(same_tenant(one, other), same, "{one} {other}");
            assert_eq!(same_tenant(other, one), same, "{other} {one}");
            assert_eq!(tenant_key(one) == tenant_key(other), same, "{one} {other}");
        }
    }
}
