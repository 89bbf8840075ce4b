//! The conformance suite has teeth: stores that are broken on purpose, each in one way, are
//! caught; and the sound stores that they are made of are not.

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
use wrapper::{Place, Sound};

/// What came of running the cases on a broken store.
struct Verdict {
    flaw: &'static str,
    /// The case that is there for this flaw.
    meant: &'static str,
    caught: Vec<&'static str>,
}

/// The names of the cases that a store fails.
fn caught(cases: Vec<Case>) -> Vec<&'static str> {
    let failed = cases.into_iter().filter(|(_, case)| panic::catch_unwind(case).is_err());
    failed.map(|(name, _)| name).collect()
}

/// Any place, so that the cases are compiled once and not once for each flaw.
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
    static CHOSEN: Cell<fn() -> Box<dyn Opens>> = Cell::new(|| Box::new(Place::<Sound>::new()));
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

/// The cases on this place, for the thread that asks.
fn cases<H: Harness<Store: 'static> + 'static>() -> Vec<Case> {
    CHOSEN.set(|| Box::new(H::new()));
    conformance::cases::<Chosen>()
}

/// A family of broken stores, each with the case that has to catch it.
macro_rules! broken {
    ($family:ident: $cases:ident, $place:ident<$module:ident>: $($flaw:ident: $case:ident)*) => {
        fn $family() -> Vec<Verdict> {
            vec![$(Verdict {
                flaw: stringify!($flaw),
                meant: stringify!($case),
                caught: caught($cases::<$place<$module::$flaw>>()),
            }),*]
        }
    };
    ($family:ident: $cases:ident, $module:ident: $($place:ident: $case:ident)*) => {
        fn $family() -> Vec<Verdict> {
            vec![$(Verdict {
                flaw: stringify!($place),
                meant: stringify!($case),
                caught: caught($cases::<$module::$place>()),
            }),*]
        }
    };
}

broken! { broken_commits: cases, Place<commits>:
    ExpectsNothing: a_stale_expectation_conflicts_and_changes_nothing
    ExpectsInTheFirstPartitionOnly: a_stale_expectation_conflicts_and_changes_nothing
    ExpectsBeforeItLocks: one_of_many_rivals_wins
    TakesAbsentForAny: absent_expects_that_nothing_is_there
    ForgetsToExpectWithoutOperations: a_change_without_operations_still_expects
    ConflictsInItsOwnWay: a_stale_expectation_conflicts_and_changes_nothing
    LetsAnyConflict: any_never_conflicts
    AppliesPartitionByPartition: a_stale_expectation_conflicts_and_changes_nothing
    ShowsPartitionByPartition: threads_that_share_a_handle_lose_nothing
    DropsTheLastPut: records_of_every_section_survive
    DropsDeletes: a_deleted_record_goes_and_comes_back_at_the_end
    DropsAPutOfWhatIsThere: operations_apply_in_their_order
    PutsBeforeItDeletes: operations_apply_in_their_order
    DeletesTheKeyInEverySection: a_deleted_record_goes_and_comes_back_at_the_end
    DeletesInOtherPartitions: a_delete_stays_in_its_partition
    MovesAKnownKeyToTheEnd: a_known_key_keeps_its_place
    ChangesTheRevisionsOfAll: a_commit_leaves_other_partitions_alone
    ReturnsRevisionsInAnotherOrder: a_commit_returns_what_a_load_finds
    TakesAHundredAtMost: many_records_survive
    ForgetsCase: odd_keys_survive_and_stay_apart
    TrimsKeys: odd_keys_survive_and_stay_apart
    EndsKeysAtZero: odd_keys_survive_and_stay_apart
    PrintsJsonAnew: values_survive_as_they_were_written
    CutsLargeValues: large_values_survive
    WritesLatin1: unicode_in_values_survives
    DropsUnknownSections: records_of_every_section_survive
    TellsSectionsOfOneNameApart: a_section_is_its_name
    DropsMembersOfTheDocument: members_of_the_document_survive
}

broken! { broken_answers: cases, Place<answers>:
    LoadsEveryUser: a_batch_over_several_partitions_is_applied_whole
    LoadsByTheLetter: a_record_belongs_to_whom_it_names
    LoadsByPattern: users_that_look_alike_are_different_users
    LoadsByCollation: users_that_look_alike_are_different_users
    LoadsByPrefix: partitions_are_read_apart
    LoadsInReverse: records_come_in_the_order_in_which_they_were_put
    LoadsByKey: records_come_in_the_order_in_which_they_were_put
    LoadsAPageOfFifty: a_large_partition_is_like_a_small_one
    LoadsRecordByRecord: threads_that_share_a_handle_lose_nothing
    LoadsNothingNew: a_known_revision_is_unchanged_until_something_changes
    ListsUsersOnly: listings_are_exact
    ListsAPageOfFifty: many_records_survive
    ListsKnownSectionsOnly: listings_are_exact
    ListsEverySection: listings_are_exact
    ListsInReverse: records_come_in_the_order_in_which_they_were_put
    ListsPartitionByPartition: threads_that_share_a_handle_lose_nothing
    ListsNothingNew: a_listing_is_unchanged_until_something_changes
    ListsNothingNewButMore: a_listing_is_unchanged_until_something_changes
    NeverSaysUnchanged: a_known_revision_is_unchanged_until_something_changes
    PrintsItsRecords: nothing_prints_what_is_stored
}

broken! { broken_purges: cases, Place<purges>:
    PurgesThatVeryMoment: a_purge_deletes_exactly_what_has_expired
    PurgesEverySection: a_purge_takes_access_tokens_alone
    PurgesStringsOnly: a_purge_reads_an_expiry_as_the_record_does
    PurgesWhatItCantRead: a_purge_reads_an_expiry_as_the_record_does
    PurgesUsersOnly: a_purge_leaves_other_partitions_alone
    PurgesNothing: a_purge_deletes_exactly_what_has_expired
    PurgesByTheFirstValue: a_purge_goes_by_the_latest_value
    CountsWhatIsLeft: a_purge_deletes_exactly_what_has_expired
    PurgesAndRewritesTheRest: a_purge_of_nothing_changes_nothing
}

broken! { broken_revisions: cases, Numbered<revisions>:
    CountsFromOneWhenEmptied: an_emptied_partition_does_not_begin_anew
    CountsInEachPlace: a_revision_of_another_place_reads_everything
    TakesTheSize: other_contents_never_share_a_revision
    CountsRecords: other_contents_never_share_a_revision
    HashesTheLastRecord: a_known_revision_is_unchanged_until_something_changes
    HashesKeysAlone: other_contents_never_share_a_revision
    HashesWithoutLengths: where_a_name_ends_matters
    NumbersTheEmpty: an_emptied_partition_does_not_begin_anew
}

broken! { broken_handles: cases, revisions:
    NumberedByHandle: other_contents_never_share_a_revision
}

broken! { broken_memories: persistent_cases, revisions:
    NumberedWhileOpen: revisions_do_not_return_after_reopening
    LostWithTheLastHandle: what_was_stored_outlives_the_handles
    SortedWhenOpened: what_was_stored_outlives_the_handles
}

broken! { broken_files: cases, Folder<documents>:
    ChecksNothing: threads_with_handles_of_their_own_lose_nothing
    ChecksWithoutALock: one_of_many_rivals_wins
    ReadsOnce: handles_in_turn_lose_nothing
    TakesTheLengthForARevision: a_change_there_and_back_is_no_trap
}

broken! { broken_openings: persistent_cases, Folder<documents>:
    EmptiesANewPlace: a_new_place_is_opened_by_many_at_once
    CreatesAPlaceAlone: a_new_place_is_opened_by_many_at_once
}

broken! { broken_keys: cases, Keyed<identity>:
    KeepsAKeyInEachPartition: a_put_moves_a_key_from_another_partition
    ForgetsTheKeysThatItDeletes: a_put_moves_a_key_from_another_partition
    MovesKeysOfUsersOnly: clients_whose_keys_are_equal_share_a_record
    KeepsBothPutsOfABatch: the_last_put_of_a_key_in_a_batch_wins
    MovesWithoutALock: threads_that_put_one_key_into_partitions_of_their_own_leave_one_record
}

broken! { broken_moves: cases, Place<identity>:
    LoadsUnchangedAfterAMove: a_put_moves_a_key_from_another_partition
    ExpectsTheRevisionBeforeAMove: a_put_moves_a_key_from_another_partition
    KeepsAnEmptiedPartition: a_partition_whose_last_record_moves_away_is_absent
    ReturnsTheRevisionBeforeAMove: a_partition_whose_last_record_moves_away_is_absent
    KeepsTheNumberOfAMovedKey: a_moved_record_comes_last_in_its_new_partition
    KeepsTheCaseOfATenant: ids_that_differ_in_case_share_a_partition
    FirstPutOfABatchWins: the_last_put_of_a_key_in_a_batch_wins
    DeletesWhatHasMoved: a_delete_in_the_former_partition_of_a_key_does_nothing
    ListsMovedRecordsTwice: a_moved_record_is_listed_and_purged_once
    CountsMovedRecordsTwice: a_moved_record_is_listed_and_purged_once
}

broken! { broken_loads_of_many: cases, Place<many>:
    AnswersByName: many_partitions_are_returned_in_the_order_asked
    IgnoresKnownRevisions: each_of_many_known_revisions_is_unchanged_by_itself
    ComparesTheFirstRevisionOnly: each_of_many_known_revisions_is_unchanged_by_itself
    SkipsAbsentPartitions: absent_partitions_among_many_are_empty
    RefusesToReadNothing: a_load_of_no_partition_is_empty
    KnowsOneRevisionOfAPartition: a_partition_that_is_asked_for_twice_is_answered_twice
    ReadsOneByOne: many_partitions_are_read_at_one_moment
}

broken! { broken_guards: guarding_cases, Place<guards>:
    ExcludesNothing: a_guard_excludes_others_of_its_partition
    ExcludesItsHandleOnly: a_guard_excludes_others_of_its_partition
    GivesUpAtOnce: a_guard_excludes_others_of_its_partition
    ReportsAHeldGuardAsAConflict: a_guard_excludes_others_of_its_partition
    ExcludesEveryPartition: a_guard_leaves_other_partitions_free
    LooksBeforeItTakes: a_guard_has_one_holder_at_a_time
    StopsWriters: a_guard_stops_no_other_verb
}

broken! { broken_releases: guarding_cases, Place<guards>:
    NeverReleases: a_guard_is_released_when_it_is_dropped
    ReleasesOnItsOwnThreadOnly: a_guard_is_released_when_it_is_dropped
    WaitsToTheEnd: a_guard_is_released_when_it_is_dropped
}

broken! { broken_faults: fault_cases, Failing<faults>:
    KeepsThePartThatWentWell: a_failed_commit_changes_nothing
    CommitsAndFails: a_failed_commit_changes_nothing
    HidesAFault: a_failed_commit_changes_nothing
    CallsAFaultAConflict: a_failed_commit_changes_nothing
    RollsBackToANewRevision: a_failed_commit_changes_nothing
    LeavesItsLock: after_a_failed_commit_others_go_on
    QuotesWhatFailed: a_failed_commit_prints_no_secret
}

#[test]
fn every_broken_store_is_caught_and_every_case_catches_one() {
    // Where it panics and why, without a backtrace: there are many, and they are meant.
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
    println!("{} broken stores, and the cases that each of them fails:", verdicts.len());
    for Verdict { flaw, caught, .. } in &verdicts {
        println!("{flaw}: {}", caught.join(", "));
    }
    for Verdict { flaw, meant, caught } in &verdicts {
        assert!(caught.contains(meant), "{flaw} passes {meant}");
    }
    let every = cases::<Place<Sound>>()
        .into_iter()
        .chain(persistent_cases::<Folder<Locks>>())
        .chain(guarding_cases::<Place<Sound>>())
        .chain(fault_cases::<Failing<faults::FailsProperly>>());
    for (case, _) in every {
        let bites = verdicts.iter().any(|it| it.caught.contains(&case));
        assert!(bites, "no broken store fails {case}, so nothing shows what it is for");
    }
}

/// A lock that other processes don't see is enough for all the cases of one process; that of
/// several is what it takes.
#[test]
fn a_lock_of_one_process() {
    let test = concat!(module_path!(), "::a_lock_of_one_process");
    let lost = panic::catch_unwind(|| {
        processes_lose_nothing::<Folder<LocksItsProcessOnly>>(test);
    });
    assert!(lost.is_err(), "processes without a common lock lost nothing");
    let caught = caught(cases::<Folder<LocksItsProcessOnly>>());
    assert_eq!(caught, [""; 0], "the cases of one process don't see it");
}

/// A sound store, whose revisions alone are made in another way, or whose commits fail properly.
mod sound {
    mod memory {
        use super::super::{Place, Sound};
        msal_cache_core::conformance!(Place<Sound>: Guarding);
    }

    mod file {
        use super::super::{Folder, Locks};
        msal_cache_core::conformance!(Folder<Locks>: Persistent, Processes);
    }

    mod fault {
        use super::super::{Failing, faults};
        msal_cache_core::conformance!(Failing<faults::FailsProperly>: Faults);
    }
}
