//! The conformance suite fails on stores that are broken on purpose, each in one way, and passes on
//! the correct stores that they wrap.

mod answers;
mod commits;
mod documents;
mod faults;
mod guards;
mod identity;
mod many;
mod purges;
mod revisions;
mod wrapper;

use std::cell::Cell;
use std::{panic, thread};

use msal_cache_core::CacheStore;
use msal_cache_core::conformance::{
    self, Case, Harness, fault_cases, guarding_cases, persistent_cases, processes_lose_nothing,
};

use documents::{Folder, Locks, LocksItsProcessOnly};
use faults::Failing;
use identity::Keyed;
use revisions::Numbered;
use wrapper::{Correct, Place};

/// The result of running the cases on a broken store.
struct Verdict {
    flaw: &'static str,
    /// The case that has to fail.
    expected: &'static str,
    failed: Vec<&'static str>,
}

/// The names of the cases that fail.
fn failed(cases: Vec<Case>) -> Vec<&'static str> {
    let failing = cases.into_iter().filter(|(_, case)| panic::catch_unwind(case).is_err());
    failing.map(|(name, _)| name).collect()
}

/// Any place, so that the cases are compiled once and not for each flaw.
struct Chosen(Box<dyn Opens>);

trait Opens {
    fn open(&self) -> Box<dyn CacheStore>;
}

impl<H: Harness<Store: 'static>> Opens for H {
    fn open(&self) -> Box<dyn CacheStore> {
        Box::new(Harness::open(self))
    }
}

thread_local! {
    static CHOSEN: Cell<fn() -> Box<dyn Opens>> = Cell::new(|| Box::new(Place::<Correct>::new()));
}

impl Harness for Chosen {
    type Store = Box<dyn CacheStore>;

    fn new() -> Self {
        Self(CHOSEN.get()())
    }

    fn open(&self) -> Self::Store {
        self.0.open()
    }
}

/// The cases of this place, to be run on the current thread.
fn cases<H: Harness<Store: 'static> + 'static>() -> Vec<Case> {
    CHOSEN.set(|| Box::new(H::new()));
    conformance::cases::<Chosen>()
}

/// A family of broken stores, each with the case that has to fail.
macro_rules! broken {
    ($family:ident: $cases:ident, $place:ident<$module:ident>: $($flaw:ident: $case:ident)*) => {
        fn $family() -> Vec<Verdict> {
            vec![$(Verdict {
                flaw: stringify!($flaw),
                expected: stringify!($case),
                failed: failed($cases::<$place<$module::$flaw>>()),
            }),*]
        }
    };
    ($family:ident: $cases:ident, $module:ident: $($place:ident: $case:ident)*) => {
        fn $family() -> Vec<Verdict> {
            vec![$(Verdict {
                flaw: stringify!($place),
                expected: stringify!($case),
                failed: failed($cases::<$module::$place>()),
            }),*]
        }
    };
}

broken! { broken_commits: cases, Place<commits>:
    ChecksNoExpectations: a_stale_expectation_conflicts_and_changes_nothing
    ChecksTheFirstExpectationOnly: a_stale_expectation_conflicts_and_changes_nothing
    ChecksBeforeItLocks: one_of_several_conflicting_commits_wins
    TreatsAbsentAsAny: absent_expects_an_empty_partition
    ChecksExpectationsOfOperationsOnly: an_expectation_without_operations_is_checked
    ReportsConflictsAsOtherErrors: a_stale_expectation_conflicts_and_changes_nothing
    ReportsConflictsWithoutExpectations: a_commit_without_expectations_never_conflicts
    AppliesPartitionByPartition: a_stale_expectation_conflicts_and_changes_nothing
    ShowsPartitionByPartition: threads_that_share_a_handle_lose_nothing
    DropsTheLastPut: records_of_every_section_are_kept
    DropsDeletes: a_deleted_record_returns_at_the_end
    DropsAPutOfAStoredRecord: operations_are_applied_in_order
    PutsBeforeItDeletes: operations_are_applied_in_order
    DeletesTheKeyInEverySection: a_deleted_record_returns_at_the_end
    DeletesInOtherPartitions: a_delete_affects_its_partition_only
    MovesAReplacedRecordToTheEnd: a_replaced_record_keeps_its_position
    ChangesAllRevisions: a_commit_leaves_other_partitions_unchanged
    ReturnsRevisionsInAnotherOrder: a_commit_returns_the_new_revisions
    AppliesAHundredOperationsAtMost: many_records_are_kept
    LowercasesKeys: unusual_keys_are_kept_and_distinct
    TrimsKeys: unusual_keys_are_kept_and_distinct
    CutsKeysAtNul: unusual_keys_are_kept_and_distinct
    ReserializesValues: values_are_kept_as_written
    CutsLargeValues: large_values_are_kept
    StoresLatin1: unicode_in_values_is_kept
    DropsUnknownSections: records_of_every_section_are_kept
    DistinguishesSpelledOutSections: a_section_is_identified_by_its_name
    DropsMembersOfTheDocument: members_of_the_document_are_kept
}

broken! { broken_answers: cases, Place<answers>:
    NotifiesNothing: a_watch_without_an_interval_is_notified_of_each_change
    NotifiesTheFirstChangeOnly: a_watch_without_an_interval_is_notified_of_each_change
    AsksAllTheTime: a_watch_without_an_interval_is_notified_of_each_change
    CallsChangedPartitionsUnchanged: a_partition_that_has_changed_is_not_called_unchanged
    LoadsEveryUser: a_batch_is_applied_to_all_of_its_partitions
    LoadsByText: a_record_belongs_to_the_user_it_names
    LoadsByPattern: similar_user_ids_are_distinct
    LoadsByCollation: similar_user_ids_are_distinct
    LoadsByPrefix: partitions_are_read_separately
    LoadsInReverse: records_are_in_the_order_of_their_first_puts
    LoadsByKey: records_are_in_the_order_of_their_first_puts
    LoadsAPageOfFifty: large_partitions_behave_like_small_ones
    LoadsRecordByRecord: threads_that_share_a_handle_lose_nothing
    LoadsNoChanges: a_known_revision_is_unchanged_until_its_partition_changes
    ListsUsersOnly: listings_are_exact
    ListsAPageOfFifty: many_records_are_kept
    ListsKnownSectionsOnly: listings_are_exact
    ListsEverySection: listings_are_exact
    ListsInReverse: records_are_in_the_order_of_their_first_puts
    ListsPartitionByPartition: threads_that_share_a_handle_lose_nothing
    ListsNoChanges: a_listing_is_unchanged_until_something_changes
    ListsChangesOfTheNumberOnly: a_listing_is_unchanged_until_something_changes
    NeverReturnsUnchanged: a_known_revision_is_unchanged_until_its_partition_changes
    PrintsItsRecords: debug_output_contains_no_values
}

broken! { broken_purges: cases, Place<purges>:
    PurgesExpiriesAtTheMoment: a_purge_deletes_exactly_the_expired_records
    PurgesEverySection: a_purge_deletes_access_tokens_only
    PurgesStringsOnly: a_purge_reads_expiries_as_records_do
    PurgesUnreadableExpiries: a_purge_reads_expiries_as_records_do
    PurgesUsersOnly: a_purge_leaves_other_partitions_unchanged
    PurgesNothing: a_purge_deletes_exactly_the_expired_records
    PurgesByTheFirstValue: a_purge_uses_the_latest_value
    ReturnsTheNumberOfOtherRecords: a_purge_deletes_exactly_the_expired_records
    PurgesAndRewritesTheRest: a_purge_without_expired_records_changes_nothing
}

broken! { broken_revisions: cases, Numbered<revisions>:
    RestartsEmptiedPartitions: an_emptied_partition_does_not_repeat_revisions
    CountsInEachPlace: a_revision_of_another_place_returns_all_records
    UsesTheSizeAsRevision: different_contents_have_different_revisions
    UsesTheNumberOfRecordsAsRevision: different_contents_have_different_revisions
    HashesTheLastRecord: a_known_revision_is_unchanged_until_its_partition_changes
    HashesKeysOnly: different_contents_have_different_revisions
    HashesWithoutLengths: the_boundary_of_section_and_key_counts
    NumbersEmptyPartitions: an_emptied_partition_does_not_repeat_revisions
}

broken! { broken_handles: cases, revisions:
    NumberedByHandle: different_contents_have_different_revisions
}

broken! { broken_memories: persistent_cases, revisions:
    NumberedWhileOpen: revisions_do_not_repeat_after_reopening
    EndsWithTheLastHandle: records_outlive_the_handles
    SortedWhenOpened: records_outlive_the_handles
}

broken! { broken_files: cases, Folder<documents>:
    ChecksNothing: threads_with_separate_handles_lose_nothing
    ChecksWithoutALock: one_of_several_conflicting_commits_wins
    ReadsOnce: handles_that_write_in_turn_lose_nothing
    UsesTheLengthAsRevision: restored_contents_do_not_match_revisions_in_between
}

broken! { broken_openings: persistent_cases, Folder<documents>:
    EmptiesANewPlace: many_threads_open_a_new_place_at_once
    CreatesAPlaceAlone: many_threads_open_a_new_place_at_once
}

broken! { broken_keys: cases, Keyed<identity>:
    KeepsAKeyInEachPartition: a_put_moves_a_key_from_another_partition
    ForgetsTheKeysThatItDeletes: a_put_moves_a_key_from_another_partition
    MovesKeysOfUsersOnly: clients_with_equal_keys_share_a_record
    KeepsBothPutsOfABatch: the_last_put_of_a_key_in_a_batch_wins
    MovesWithoutALock: concurrent_puts_of_one_key_leave_one_record
}

broken! { broken_moves: cases, Place<identity>:
    LoadsUnchangedAfterAMove: a_put_moves_a_key_from_another_partition
    ExpectsTheRevisionBeforeAMove: a_put_moves_a_key_from_another_partition
    KeepsAnEmptiedPartition: a_partition_whose_last_record_moves_is_absent
    ReturnsTheRevisionBeforeAMove: a_partition_whose_last_record_moves_is_absent
    KeepsTheNumberOfAMovedKey: a_moved_record_is_last_in_its_new_partition
    KeepsTheCaseOfATenant: ids_that_differ_in_case_share_a_partition
    FirstPutOfABatchWins: the_last_put_of_a_key_in_a_batch_wins
    DeletesWhatHasMoved: a_delete_in_the_former_partition_does_nothing
    ListsMovedRecordsTwice: a_moved_record_is_listed_and_purged_once
    CountsMovedRecordsTwice: a_moved_record_is_listed_and_purged_once
}

broken! { broken_loads_of_many: cases, Place<many>:
    AnswersByName: several_partitions_are_returned_in_order
    IgnoresKnownRevisions: each_known_revision_is_compared_with_its_partition
    ComparesTheFirstRevisionOnly: each_known_revision_is_compared_with_its_partition
    SkipsAbsentPartitions: absent_partitions_among_several_are_empty
    RefusesToReadNothing: loading_no_partitions_returns_nothing
    KnowsOneRevisionOfAPartition: a_repeated_partition_is_returned_each_time
    ReadsOneByOne: several_partitions_are_read_at_one_moment
}

broken! { broken_guards: guarding_cases, Place<guards>:
    ExcludesNothing: a_guard_excludes_others_of_its_partition
    ExcludesItsHandleOnly: a_guard_excludes_others_of_its_partition
    GivesUpAtOnce: a_guard_excludes_others_of_its_partition
    ReportsAHeldGuardAsAConflict: a_guard_excludes_others_of_its_partition
    ExcludesEveryPartition: a_guard_leaves_other_partitions_free
    ChecksBeforeItTakes: a_guard_has_one_holder_at_a_time
    StopsWriters: a_guard_blocks_no_other_verb
}

broken! { broken_releases: guarding_cases, Place<guards>:
    NeverReleases: a_guard_is_released_when_it_is_dropped
    ReleasesOnItsOwnThreadOnly: a_guard_is_released_when_it_is_dropped
    WaitsToTheEnd: a_guard_is_released_when_it_is_dropped
}

broken! { broken_faults: fault_cases, Failing<faults>:
    KeepsAPartOfAFailedCommit: a_failed_commit_changes_nothing
    CommitsAndFails: a_failed_commit_changes_nothing
    ReportsAFaultAsSuccess: a_failed_commit_changes_nothing
    ReportsAFaultAsAConflict: a_failed_commit_changes_nothing
    RollsBackToANewRevision: a_failed_commit_changes_nothing
    LeavesItsLock: a_failed_commit_does_not_block_other_handles
    QuotesTheFailedRecord: a_failed_commit_prints_no_secret
}

#[test]
fn every_broken_store_fails_a_case_and_every_case_fails_on_a_broken_store() {
    // The panics are expected, so no backtraces.
    panic::set_hook(Box::new(|why| eprintln!("{why}")));
    let families = [
        broken_commits,
        broken_answers,
        broken_purges,
        broken_revisions,
        broken_handles,
        broken_memories,
        broken_files,
        broken_openings,
        broken_keys,
        broken_moves,
        broken_loads_of_many,
        broken_guards,
        broken_releases,
        broken_faults,
    ];
    let verdicts: Vec<Verdict> = thread::scope(|scope| {
        let running = families.map(|family| scope.spawn(family));
        running.into_iter().flat_map(|it| it.join().unwrap()).collect()
    });
    println!("{} broken stores, and the cases that fail on each:", verdicts.len());
    for Verdict { flaw, failed, .. } in &verdicts {
        println!("{flaw}: {}", failed.join(", "));
    }
    for Verdict { flaw, expected, failed } in &verdicts {
        assert!(failed.contains(expected), "{flaw} passes {expected}");
    }
    let every = cases::<Place<Correct>>()
        .into_iter()
        .chain(persistent_cases::<Folder<Locks>>())
        .chain(guarding_cases::<Place<Correct>>())
        .chain(fault_cases::<Failing<faults::FailsCorrectly>>());
    for (case, _) in every {
        let fails = verdicts.iter().any(|it| it.failed.contains(&case));
        assert!(fails, "{case} fails on no broken store");
    }
}

/// A lock within one process passes all cases of one process, and fails the one of several.
#[test]
fn a_lock_within_one_process() {
    let test = concat!(module_path!(), "::a_lock_within_one_process");
    let lost = panic::catch_unwind(|| {
        processes_lose_nothing::<Folder<LocksItsProcessOnly>>(test);
    });
    assert!(lost.is_err(), "processes without a common lock lost nothing");
    let failed = failed(cases::<Folder<LocksItsProcessOnly>>());
    assert_eq!(failed, [""; 0], "the failed cases of one process");
}

/// Correct stores, made like the broken ones.
mod correct {
    mod memory {
        use super::super::{Correct, Place};
        msal_cache_core::conformance!(Place<Correct>: Guarding);
    }

    mod file {
        use super::super::{Folder, Locks};
        msal_cache_core::conformance!(Folder<Locks>: Persistent, Processes);
    }

    mod fault {
        use super::super::{Failing, faults};
        msal_cache_core::conformance!(Failing<faults::FailsCorrectly>: Faults);
    }
}
