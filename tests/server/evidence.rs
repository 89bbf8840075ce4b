//! The tests that compare a store with a model.

use proptest::prelude::*;

use crate::model::{history, query, step};
use crate::never_older;
use crate::stores::{open, unused_name};

proptest! {
    #![proptest_config(ProptestConfig { cases: 25, ..ProptestConfig::default() })]

    #[test]
    fn a_server_agrees_with_the_model(
        steps in prop::collection::vec(step(), 1..15),
        queries in prop::collection::vec(query(), 1..4),
    ) {
        let name = unused_name();
        history(open(&name), open(&name), &steps, &queries)?;
    }
}

#[test]
fn p18_no_token_is_older_than_what_was_known_on_a_server() {
    let name = unused_name();
    never_older::run("server", 600, || open(&name));
}
