//! The list of the cases, in one place for the macro and for who has a test runner of its own.

use super::{Faults, Guarding, Harness, Persistent};

/// A case: its name, and what runs it. It panics where the store breaks the promise.
pub type Case = (&'static str, fn());

/// Hands the names of the cases of an ability to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    (Harness $then:ident $place:ty) => {
        $crate::$then! { $place:
            what_is_not_there_is_empty_and_absent
            what_one_handle_writes_every_handle_reads
            a_known_revision_is_unchanged_until_something_changes
            an_invented_revision_reads_everything
            a_revision_of_another_place_reads_everything

            records_of_every_section_survive
            a_section_is_its_name
            members_of_the_document_survive
            odd_keys_survive_and_stay_apart
            values_survive_as_they_were_written
            unicode_in_values_survives
            large_values_survive
            many_records_survive
            what_is_no_json_harms_no_other_record

            records_come_in_the_order_in_which_they_were_put
            a_known_key_keeps_its_place
            a_deleted_record_goes_and_comes_back_at_the_end
            a_large_partition_is_like_a_small_one
            operations_apply_in_their_order

            a_put_moves_a_key_from_another_partition
            a_partition_whose_last_record_moves_away_is_absent
            a_moved_record_comes_last_in_its_new_partition
            ids_that_differ_in_case_share_a_partition
            clients_whose_keys_are_equal_share_a_record
            the_last_put_of_a_key_in_a_batch_wins
            a_delete_in_the_former_partition_of_a_key_does_nothing
            a_moved_record_is_listed_and_purged_once
            threads_that_put_one_key_into_partitions_of_their_own_leave_one_record

            many_partitions_are_returned_in_the_order_asked
            each_of_many_known_revisions_is_unchanged_by_itself
            absent_partitions_among_many_are_empty
            a_load_of_no_partition_is_empty
            a_partition_that_is_asked_for_twice_is_answered_twice
            many_partitions_are_read_at_one_moment

            a_batch_over_several_partitions_is_applied_whole
            a_stale_expectation_conflicts_and_changes_nothing
            an_expectation_that_holds_lets_the_commit_through
            any_never_conflicts
            absent_expects_that_nothing_is_there
            handles_in_turn_lose_nothing
            a_commit_returns_what_a_load_finds
            a_batch_that_changes_nothing_is_no_error
            a_change_without_operations_still_expects

            partitions_are_read_apart
            a_record_belongs_to_whom_it_names
            users_that_look_alike_are_different_users
            a_delete_stays_in_its_partition
            a_commit_leaves_other_partitions_alone

            other_contents_never_share_a_revision
            a_change_there_and_back_is_no_trap
            an_emptied_partition_does_not_begin_anew
            where_a_name_ends_matters
            revisions_of_a_listing_do_not_return

            listings_are_exact
            a_listing_is_unchanged_until_something_changes
            every_section_counts_in_the_listing_of_all

            a_purge_deletes_exactly_what_has_expired
            a_purge_reads_an_expiry_as_the_record_does
            a_purge_takes_access_tokens_alone
            a_purge_goes_by_the_latest_value
            a_purge_leaves_other_partitions_alone
            a_purge_of_nothing_changes_nothing

            nothing_prints_what_is_stored

            threads_with_handles_of_their_own_lose_nothing
            threads_that_share_a_handle_lose_nothing
            one_of_many_rivals_wins
        }
    };
    (Persistent $then:ident $place:ty) => {
        $crate::$then! { $place:
            what_was_stored_outlives_the_handles
            revisions_do_not_return_after_reopening
            a_new_handle_goes_on_where_the_last_one_ended
            a_new_place_is_opened_by_many_at_once
        }
    };
    (Guarding $then:ident $place:ty) => {
        $crate::$then! { $place:
            a_guard_excludes_others_of_its_partition
            a_guard_leaves_other_partitions_free
            a_guard_is_released_when_it_is_dropped
            a_guard_stops_no_other_verb
            a_guard_has_one_holder_at_a_time
        }
    };
    (Faults $then:ident $place:ty) => {
        $crate::$then! { $place:
            a_failed_commit_changes_nothing
            after_a_failed_commit_others_go_on
            a_failed_commit_prints_no_secret
        }
    };
    (Processes __conformance_tests $place:ty) => {
        // This one starts its own test again and has to know what that is called.
        #[test]
        fn processes_lose_nothing() {
            let test = ::core::concat!(::core::module_path!(), "::processes_lose_nothing");
            $crate::conformance::processes_lose_nothing::<$place>(test);
        }
    };
    ($other:ident $then:ident $place:ty) => {
        ::core::compile_error!(::core::concat!(
            "no ability is called `",
            ::core::stringify!($other),
            "`: the abilities are `Persistent`, `Guarding`, `Processes` and `Faults`"
        ));
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($place:ty: $($case:ident)*) => {$(
        #[test]
        fn $case() {
            $crate::conformance::$case::<$place>();
        }
    )*};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_list {
    ($place:ty: $($case:ident)*) => {
        ::std::vec![$((::core::stringify!($case), $crate::conformance::$case::<$place> as fn())),*]
    };
}

/// One `#[test]` for each case that a [`Harness`] can run:
/// `conformance!(Place)`, or with the [abilities](mod@crate::conformance#abilities) of the place,
/// `conformance!(Place: Persistent, Faults)`.
///
/// The tests stand in the module that the macro is called in; to run two harnesses, give each a
/// module.
#[macro_export]
macro_rules! conformance {
    ($place:ty $(: $($ability:ident),* $(,)?)?) => {
        $crate::__conformance_cases!(Harness __conformance_tests $place);
        $($($crate::__conformance_cases!($ability __conformance_tests $place);)*)?
    };
}

/// The cases of every store.
pub fn cases<H: Harness>() -> Vec<Case> {
    __conformance_cases!(Harness __conformance_list H)
}

/// The cases of a place whose contents outlive the handles.
pub fn persistent_cases<H: Persistent>() -> Vec<Case> {
    __conformance_cases!(Persistent __conformance_list H)
}

/// The cases of a place whose guards exclude each other.
pub fn guarding_cases<H: Guarding>() -> Vec<Case> {
    __conformance_cases!(Guarding __conformance_list H)
}

/// The cases of a place whose commits can be made to fail.
pub fn fault_cases<H: Faults>() -> Vec<Case> {
    __conformance_cases!(Faults __conformance_list H)
}
