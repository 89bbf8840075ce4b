//! The list of the cases, for the macro and for other test runners.

use super::{Faults, Guarding, Harness, Persistent};

/// A case: its name and its function, which panics if the store breaks the promise.
pub type Case = (&'static str, fn());

/// Passes the names of the cases of an ability to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    (Harness $then:ident $place:ty) => {
        $crate::$then! { $place:
            absent_partitions_are_empty_and_at_absent
            every_handle_reads_what_another_writes
            a_known_revision_is_unchanged_until_its_partition_changes
            a_partition_that_has_changed_is_not_called_unchanged
            an_unknown_revision_returns_all_records
            a_revision_of_another_place_returns_all_records

            records_of_every_section_are_kept
            a_section_is_identified_by_its_name
            members_of_the_document_are_kept
            unusual_keys_are_kept_and_distinct
            values_are_kept_as_written
            unicode_in_values_is_kept
            large_values_are_kept
            many_records_are_kept
            invalid_json_affects_no_other_record

            records_are_in_the_order_of_their_first_puts
            a_replaced_record_keeps_its_position
            a_deleted_record_returns_at_the_end
            large_partitions_behave_like_small_ones
            operations_are_applied_in_order

            a_put_moves_a_key_from_another_partition
            a_partition_whose_last_record_moves_is_absent
            a_moved_record_is_last_in_its_new_partition
            ids_that_differ_in_case_share_a_partition
            clients_with_equal_keys_share_a_record
            the_last_put_of_a_key_in_a_batch_wins
            a_delete_in_the_former_partition_does_nothing
            a_moved_record_is_listed_and_purged_once
            concurrent_puts_of_one_key_leave_one_record

            several_partitions_are_returned_in_order
            each_known_revision_is_compared_with_its_partition
            absent_partitions_among_several_are_empty
            loading_no_partitions_returns_nothing
            a_repeated_partition_is_returned_each_time
            several_partitions_are_read_at_one_moment

            a_batch_is_applied_to_all_of_its_partitions
            a_stale_expectation_conflicts_and_changes_nothing
            a_commit_whose_expectations_hold_is_applied
            a_commit_without_expectations_never_conflicts
            absent_expects_an_empty_partition
            handles_that_write_in_turn_lose_nothing
            a_commit_returns_the_new_revisions
            a_batch_without_effect_succeeds
            an_expectation_without_operations_is_checked

            partitions_are_read_separately
            a_record_belongs_to_the_user_it_names
            similar_user_ids_are_distinct
            a_delete_affects_its_partition_only
            a_commit_leaves_other_partitions_unchanged

            different_contents_have_different_revisions
            restored_contents_do_not_match_revisions_in_between
            an_emptied_partition_does_not_repeat_revisions
            the_boundary_of_section_and_key_counts
            revisions_of_listings_do_not_repeat

            listings_are_exact
            a_listing_is_unchanged_until_something_changes
            a_change_in_any_section_changes_the_full_listing

            a_purge_deletes_exactly_the_expired_records
            a_purge_reads_expiries_as_records_do
            a_purge_deletes_access_tokens_only
            a_purge_uses_the_latest_value
            a_purge_leaves_other_partitions_unchanged
            a_purge_without_expired_records_changes_nothing

            a_watch_without_an_interval_is_notified_of_each_change

            debug_output_contains_no_values

            a_working_store_is_verified_and_left_as_it_was

            threads_with_separate_handles_lose_nothing
            threads_that_share_a_handle_lose_nothing
            one_of_several_conflicting_commits_wins
        }
    };
    (Persistent $then:ident $place:ty) => {
        $crate::$then! { $place:
            records_outlive_the_handles
            revisions_do_not_repeat_after_reopening
            a_new_handle_continues_from_the_stored_revision
            many_threads_open_a_new_place_at_once
        }
    };
    (Guarding $then:ident $place:ty) => {
        $crate::$then! { $place:
            a_guard_excludes_others_of_its_partition
            a_guard_leaves_other_partitions_free
            a_guard_is_released_when_it_is_dropped
            a_guard_blocks_no_other_verb
            a_guard_has_one_holder_at_a_time
        }
    };
    (Faults $then:ident $place:ty) => {
        $crate::$then! { $place:
            a_failed_commit_changes_nothing
            a_failed_commit_does_not_block_other_handles
            a_failed_commit_prints_no_secret
        }
    };
    (Processes __conformance_tests $place:ty) => {
        // This case starts its own test again, so it needs the name of the test.
        #[test]
        fn processes_lose_nothing() {
            let test = ::core::concat!(::core::module_path!(), "::processes_lose_nothing");
            $crate::conformance::processes_lose_nothing::<$place>(test);
        }
    };
    ($other:ident $then:ident $place:ty) => {
        ::core::compile_error!(::core::concat!(
            "unknown ability `",
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
/// The tests are added to the module that calls the macro. Each harness needs a module of its own.
#[macro_export]
macro_rules! conformance {
    ($place:ty $(: $($ability:ident),* $(,)?)?) => {
        $crate::__conformance_cases!(Harness __conformance_tests $place);
        $($($crate::__conformance_cases!($ability __conformance_tests $place);)*)?
    };
}

/// The cases of all stores.
pub fn cases<H: Harness>() -> Vec<Case> {
    __conformance_cases!(Harness __conformance_list H)
}

/// The cases of the ability [`Persistent`].
pub fn persistent_cases<H: Persistent>() -> Vec<Case> {
    __conformance_cases!(Persistent __conformance_list H)
}

/// The cases of the ability [`Guarding`].
pub fn guarding_cases<H: Guarding>() -> Vec<Case> {
    __conformance_cases!(Guarding __conformance_list H)
}

/// The cases of the ability [`Faults`].
pub fn fault_cases<H: Faults>() -> Vec<Case> {
    __conformance_cases!(Faults __conformance_list H)
}
