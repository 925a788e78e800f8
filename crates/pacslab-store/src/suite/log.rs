//! What every event log must do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pacslab_model::{Emit, Event, Identifiers, Moment};

use super::Must;
use crate::log::{EventFilter, EventLog, Heard, LogLimits, LogStats};

/// Runs the contract against logs that `make` makes empty.
pub fn log(make: &dyn Fn(LogLimits) -> EventLog) {
    let kept = || make(LogLimits::default());
    events_come_back_as_they_were(&kept());
    each_filter_is_asked_of_events(&kept());
    numbers_follow_one_another(&kept());
    the_oldest_go_first(&make(SMALL));
    payloads_are_cut_and_the_oldest_go_first(&make(SMALL));
    who_listens_hears_each_event_once(&kept());
    who_is_slow_is_told_what_he_missed(&kept());
    who_says_no_hears_no_more(&kept());
    many_may_emit(&kept());
}

/// 20 events, payloads of 10 bytes and of 35 together.
const SMALL: LogLimits = LogLimits { events: 20, raw_each: 10, raw_total: 35, queue: 1000 };

fn event(n: i64, kind: &'static str) -> Event {
    let ids = Identifiers {
        accession: format!("A{}", n % 2),
        study_uid: format!("1.{}", n % 3),
        patient_id: format!("P{}", n % 4),
        ..Identifiers::default()
    };
    Event::new(Moment::new(n, 0), kind, format!("number {n}")).ids(ids)
}

fn ids(log: &EventLog, filter: &EventFilter) -> Vec<u64> {
    log.recent(filter).must("recent").into_iter().map(|kept| kept.id).collect()
}

fn events_come_back_as_they_were(log: &EventLog) {
    let told = event(7, "hl7.received").field("from", "HIS").raw(&b"MSH|\xff"[..]);
    log.emit(told.clone());
    log.emit(event(8, "x"));
    log.flush();
    let kept = log.event(1).must("event").must("there");
    assert_eq!((kept.id, kept.raw_len), (1, 5));
    assert_eq!((kept.event.at, &kept.event.kind), (told.at, &told.kind));
    assert_eq!((&kept.event.message, &kept.event.ids), (&told.message, &told.ids));
    assert_eq!(kept.event.fields, told.fields);
    assert_eq!(log.raw(1).must("raw").as_deref(), Some(&b"MSH|\xff"[..]), "bytes as they are");
    assert_eq!(log.raw(2).must("raw"), None, "it has none");
    assert!(log.event(3).must("event").is_none() && log.raw(3).must("raw").is_none());
    assert_eq!(log.stats(), LogStats { emitted: 2, written: 2, dropped: 0, failed: 0 });
}

fn each_filter_is_asked_of_events(log: &EventLog) {
    let kinds = ["ris.order", "ris.step", "archive.stored"];
    for n in 0..12 {
        log.emit(event(n, kinds[n as usize % 3]));
    }
    log.flush();
    let some = |text: &str| Some(text.to_owned());
    let none = EventFilter::default;
    for (filter, expected) in [
        (EventFilter { limit: 3, ..none() }, &[12, 11, 10][..]),
        (EventFilter { accession: some("A1"), limit: 2, ..none() }, &[12, 10]),
        (EventFilter { study_uid: some("1.2"), ..none() }, &[12, 9, 6, 3]),
        (EventFilter { patient_id: some("P3"), ..none() }, &[12, 8, 4]),
        (EventFilter { patient_id: some("P"), ..none() }, &[]),
        (EventFilter { kind_prefix: some("ris."), limit: 3, ..none() }, &[11, 10, 8]),
        (EventFilter { kind_prefix: some("ris.step"), ..none() }, &[11, 8, 5, 2]),
        (EventFilter { kind_prefix: some("ris.%"), ..none() }, &[]),
        (EventFilter { since: Some(Moment::new(10, 0)), ..none() }, &[12, 11]),
        (EventFilter { after: Some(10), ..none() }, &[12, 11]),
        (EventFilter { after: Some(99), ..none() }, &[]),
        // all that is said must hold
        (
            EventFilter { accession: some("A1"), patient_id: some("P3"), after: Some(4), ..none() },
            &[12, 8],
        ),
    ] {
        assert_eq!(ids(log, &filter), expected, "{filter:?}");
    }
    assert_eq!(ids(log, &none()).len(), 12, "nothing said is everything");
}

fn numbers_follow_one_another(log: &EventLog) {
    for n in 0..250 {
        log.emit(event(n, "x"));
    }
    log.flush();
    let first: Vec<u64> = (51..=250).rev().collect();
    assert_eq!(ids(log, &EventFilter::default()), first, "200 if no limit is said");
}

fn the_oldest_go_first(log: &EventLog) {
    for n in 0..30 {
        log.emit(event(n, "x"));
        // in one transaction or in many
        if n % 7 == 0 {
            log.flush();
        }
    }
    log.flush();
    let kept = ids(log, &EventFilter { limit: 1000, ..EventFilter::default() });
    assert_eq!(kept, (11..=30).rev().collect::<Vec<u64>>());
    assert!(log.event(10).must("event").is_none());
    assert_eq!(log.stats().written, 30, "they were written once");
}

fn payloads_are_cut_and_the_oldest_go_first(log: &EventLog) {
    for n in 0..6 {
        log.emit(event(n, "x").raw(vec![n as u8; if n == 5 { 4 } else { 100 }]));
    }
    log.flush();
    let there: Vec<Option<usize>> =
        (1..=6).map(|id| log.raw(id).must("raw").map(|raw| raw.len())).collect();
    let ten = Some(10);
    assert_eq!(there, [None, None, ten, ten, ten, Some(4)], "35 bytes at most, 10 of each");
    let lengths = log.recent(&EventFilter::default()).must("recent");
    let lengths: Vec<u64> = lengths.into_iter().map(|kept| kept.raw_len).collect();
    assert_eq!(lengths, [4, 10, 10, 10, 0, 0], "what cannot be asked for is not told of");
}

fn who_listens_hears_each_event_once(log: &EventLog) {
    log.emit(event(0, "before"));
    log.flush();
    let live = log.subscribe(100);
    for n in 1..=5 {
        log.emit(event(n, "x").raw(&b"raw"[..]));
    }
    log.flush();
    for id in 2..=6 {
        match live.try_recv() {
            Some(Heard::Event(kept)) => assert_eq!((kept.id, kept.raw_len), (id, 3)),
            other => panic!("number {id}: {other:?}"),
        }
    }
    assert!(live.try_recv().is_none());
    assert!(live.wait_for(Duration::from_millis(1), |_| true).is_none(), "it waits no longer");
    log.emit(event(9, "wanted"));
    let found = live.wait_for(Duration::from_secs(20), |event| event.kind == "wanted");
    assert_eq!(found.must("heard").id, 7);
}

fn who_is_slow_is_told_what_he_missed(log: &EventLog) {
    let (slow, quick) = (log.subscribe(2), log.subscribe(100));
    for n in 0..10 {
        log.emit(event(n, "x"));
    }
    log.flush();
    for id in 1..=2 {
        assert!(matches!(slow.try_recv(), Some(Heard::Event(kept)) if kept.id == id));
    }
    log.emit(event(10, "x"));
    log.flush();
    assert!(matches!(slow.try_recv(), Some(Heard::Missed(8))), "before the next one");
    assert!(matches!(slow.try_recv(), Some(Heard::Event(kept)) if kept.id == 11));
    let others = std::iter::from_fn(|| quick.try_recv());
    assert_eq!(others.count(), 11, "nobody misses what another was too slow for");
    drop(slow);
    log.emit(event(11, "x"));
    log.flush();
    assert_eq!(log.stats().written, 12, "one that is gone is in nobody's way");
}

fn who_says_no_hears_no_more(log: &EventLog) {
    let heard = Arc::new(AtomicU64::new(0));
    let count = heard.clone();
    log.listen(Box::new(move |_| count.fetch_add(1, Ordering::SeqCst) < 1));
    for n in 0..5 {
        log.emit(event(n, "x"));
    }
    log.flush();
    assert_eq!(heard.load(Ordering::SeqCst), 2);
}

fn many_may_emit(log: &EventLog) {
    let live = log.subscribe(1000);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || (0..50).for_each(|n| log.emit(event(thread * 50 + n, "x"))));
        }
    });
    log.flush();
    let heard: Vec<u64> = std::iter::from_fn(|| match live.try_recv() {
        Some(Heard::Event(kept)) => Some(kept.id),
        _ => None,
    })
    .collect();
    assert_eq!(heard, (1..=200).collect::<Vec<u64>>(), "in the order of their numbers");
    let stats = log.stats();
    assert_eq!((stats.emitted, stats.written + stats.dropped), (200, 200), "none without a trace");
}
