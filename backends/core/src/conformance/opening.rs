//! Opening a new place.

use std::sync::Barrier;
use std::thread;

use super::Persistent;
use super::tools::{account, assert_holds, list, load, put};
use crate::Record;

/// Threads that open a new place at the same time all succeed, and lose no records that they write
/// immediately afterwards.
pub fn many_threads_open_a_new_place_at_once<H: Persistent>() {
    const THREADS: usize = 8;
    for _ in 0..6 {
        let place = H::new();
        let (place, start) = (&place, &Barrier::new(THREADS));
        let records: Vec<Record> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|nth| {
                    scope.spawn(move || {
                        start.wait();
                        let store = place.open();
                        let user = format!("user {nth}");
                        let records = [
                            account(&user, &format!("own {nth}"), "1"),
                            account("shared", &format!("shared {nth}"), "1"),
                        ];
                        put(&store, &records);
                        let found = load(&store, records[0].partition()).into_records();
                        assert_eq!(found, records[..1], "the record of this thread");
                        records
                    })
                })
                .collect();
            threads
                .into_iter()
                .flat_map(|it| it.join().expect("a thread failed to open or use the place"))
                .collect()
        });
        let store = place.open();
        let held = list(&store, None).into_records();
        let lost = records.iter().filter(|it| !held.contains(it)).count();
        assert_eq!(lost, 0, "the number of lost records, of {}", records.len());
        assert_eq!(held.len(), records.len(), "the number of records");
        assert_holds(&store, &held);
    }
}
