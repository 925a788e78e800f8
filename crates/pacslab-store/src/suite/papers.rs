//! What lies on every desk is found by all that it is asked for, and stays apart from its neighbours.

use std::sync::Arc;

use pacslab_model::order::{Identifier, Order, ScheduledStep, StepStatus};
use pacslab_model::{AeTitle, Uid};

use super::Must;
use super::desk::{at, order};
use crate::desk::{Desk, Expect, OrderFilter, Put, StepChange};

pub(super) fn papers(make: &dyn Fn() -> Arc<dyn Desk>) {
    each_filter_is_asked_of_orders(&*make());
    two_authorities_may_use_one_number(&*make());
    one_step_of_several_changes(&*make());
    numbers_are_given_once(&make());
    answers_are_the_last_ones(&*make());
    drawers_are_apart(&*make());
    entries_come_in_pages(&*make());
}

/// Two steps; what the second is like decides whether an order is found by it.
fn rich(accession: &str, second: &str) -> Order {
    let mut order = order(accession, "20260105");
    order.patient.id = Identifier::new(format!("PAT{accession}"), "HOSPITAL");
    order.procedure.study_uid = Uid::new(format!("1.2.{}", &accession[1..]));
    let step = ScheduledStep {
        id: "2".to_owned(),
        modality: "MR".to_owned(),
        station: AeTitle::new(second).must("an AE title"),
        start_date: "20260109".to_owned(),
        ..order.steps[0].clone()
    };
    order.steps.push(step);
    order
}

fn each_filter_is_asked_of_orders(desk: &dyn Desk) {
    for (accession, station) in [("A1", "MR1"), ("A2", "MR2"), ("A3", "MR1")] {
        desk.put_order(&rich(accession, station), Expect::New, at(1)).must("put");
    }
    desk.set_step("A3", "2", StepStatus::Scheduled, StepStatus::Completed, at(2)).must("step");
    let found = |filter: &OrderFilter| -> Vec<String> {
        desk.orders(filter).must("orders").into_iter().map(|o| o.order.accession).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    let none = OrderFilter::default;
    for (filter, expected) in [
        (none(), &["A1", "A2", "A3"][..]),
        (OrderFilter { accession: some("A2"), ..none() }, &["A2"]),
        (OrderFilter { accession: some("A"), ..none() }, &[]),
        (OrderFilter { patient_id: some("PATA3"), ..none() }, &["A3"]),
        (OrderFilter { placer_number: some("PA1"), ..none() }, &["A1"]),
        (OrderFilter { filler_number: some("FA1"), ..none() }, &["A1"]),
        (OrderFilter { study_uid: some("1.2.2"), ..none() }, &["A2"]),
        (OrderFilter { modality: some("MR"), ..none() }, &["A1", "A2", "A3"]),
        (OrderFilter { modality: some("US"), ..none() }, &[]),
        (OrderFilter { station: some("MR2"), ..none() }, &["A2"]),
        (OrderFilter { station: some("CT1"), ..none() }, &["A1", "A2", "A3"]),
        (OrderFilter { statuses: vec![StepStatus::Completed], ..none() }, &["A3"]),
        (OrderFilter { from_date: some("20260109"), ..none() }, &["A1", "A2", "A3"]),
        (OrderFilter { from_date: some("20260110"), ..none() }, &[]),
        (OrderFilter { to_date: some("20260105"), ..none() }, &["A1", "A2", "A3"]),
        (OrderFilter { to_date: some("20260104"), ..none() }, &[]),
        // all that is said must hold
        (OrderFilter { accession: some("A1"), station: some("MR2"), ..none() }, &[]),
        (OrderFilter { accession: some("A2"), station: some("MR2"), ..none() }, &["A2"]),
        (OrderFilter { limit: Some(2), ..none() }, &["A1", "A2"]),
        (OrderFilter { offset: 2, limit: Some(2), ..none() }, &["A3"]),
        (OrderFilter { offset: 3, ..none() }, &[]),
    ] {
        assert_eq!(found(&filter), expected, "{filter:?}");
    }
}

fn two_authorities_may_use_one_number(desk: &dyn Desk) {
    let ours = order("A1", "20260105");
    let mut theirs = ours.clone();
    theirs.filler.issuer = "OTHER".to_owned();
    theirs.procedure.description = "theirs".to_owned();
    desk.put_order(&ours, Expect::New, at(1)).must("put");
    let put = desk.put_order(&theirs, Expect::New, at(2)).must("put");
    assert_eq!(put, Put::Stored { version: 1 }, "it is another order");
    assert_eq!(desk.order("A1").must("order").must("there").order, theirs, "changed last");
    let mut again = ours.clone();
    again.procedure.description = "ours".to_owned();
    desk.put_order(&again, Expect::Any, at(3)).must("put");
    let held = desk.order("A1").must("order").must("there");
    assert_eq!((held.order, held.version), (again, 2));
    assert_eq!((held.created_at, held.changed_at), (at(1), at(3)));
    assert_eq!(desk.orders(&OrderFilter::default()).must("orders").len(), 2);
}

fn one_step_of_several_changes(desk: &dyn Desk) {
    let before = rich("A1", "MR1");
    desk.put_order(&before, Expect::New, at(1)).must("put");
    let change = desk.set_step("A1", "2", StepStatus::Scheduled, StepStatus::Started, at(5));
    assert!(matches!(change.must("step"), StepChange::Done(_)));
    let held = desk.order("A1").must("order").must("there");
    assert_eq!(held.order.steps[0], before.steps[0], "the other one is as it was");
    assert_eq!(held.order.steps[1].status, StepStatus::Started);
    assert_eq!((held.created_at, held.changed_at, held.version), (at(1), at(5), 2));
    let late = desk.put_order(&before, Expect::Version(1), at(6)).must("put");
    assert!(matches!(late, Put::Conflict(held) if held.version == 2), "a step is a change");
}

fn numbers_are_given_once(desk: &Arc<dyn Desk>) {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let desk = desk.clone();
            let numbers = move || (0..10).map(|_| desk.next_number("a").must("number")).collect();
            std::thread::spawn(numbers)
        })
        .collect();
    let given = threads.into_iter().map(|thread| thread.join());
    let mut given: Vec<u64> = given
        .flat_map(|numbers: std::thread::Result<Vec<u64>>| numbers.unwrap_or_default())
        .collect();
    given.sort_unstable();
    assert_eq!(given, (1..=40).collect::<Vec<u64>>(), "none twice, none left out");
    for (name, value) in [("a", 3), ("b", u64::from(u32::MAX) + 1), ("a", 2)] {
        desk.set_cursor(name, value).must("set");
        assert_eq!(desk.cursor(name).must("cursor"), value, "also backwards");
    }
    assert_eq!(desk.cursor("b").must("cursor"), u64::from(u32::MAX) + 1);
    assert_eq!(desk.cursor("c").must("cursor"), 0);
    assert_eq!(desk.next_number("b").must("number"), 1, "numbers are no cursors");
}

fn answers_are_the_last_ones(desk: &dyn Desk) {
    desk.put_answer("HIS", "1", b"first", at(1)).must("put");
    desk.put_answer("HIS", "2", &[0, 255, 13], at(2)).must("put");
    desk.put_answer("HIS", "1", b"second", at(3)).must("put");
    let answer = |sender, id| desk.answer(sender, id).must("answer");
    assert_eq!(answer("HIS", "1").as_deref(), Some(&b"second"[..]));
    assert_eq!(answer("HIS", "2").as_deref(), Some(&[0, 255, 13][..]), "bytes as they are");
    assert_eq!(answer("HIS", "3"), None);
    assert_eq!(answer("his", "1"), None, "another sender");
}

fn drawers_are_apart(desk: &dyn Desk) {
    let put = |drawer: &str, body: &str, expect, when| {
        desk.put_entry(drawer, "k", body, expect, at(when)).must("put")
    };
    assert_eq!(put("a", "1", Expect::Version(1), 1), Put::Gone);
    assert_eq!(desk.entry("a", "k").must("entry"), None, "nothing was written");
    assert_eq!(put("a", "1", Expect::New, 1), Put::Stored { version: 1 });
    assert_eq!(put("b", "2", Expect::New, 2), Put::Stored { version: 1 });
    assert_eq!(put("a", "3", Expect::Any, 3), Put::Stored { version: 2 });
    assert_eq!(put("a", "3", Expect::Version(2), 4), Put::Unchanged { version: 2 });
    match put("a", "4", Expect::Version(1), 5) {
        Put::Conflict(held) => assert_eq!((&*held.body, held.version), ("3", 2)),
        other => panic!("{other:?}"),
    }
    let held = desk.entry("a", "k").must("entry").must("there");
    assert_eq!((&*held.key, &*held.body, held.version), ("k", "3", 2));
    assert_eq!(held.changed_at, at(3), "what was not written has not changed it");
    assert!(desk.remove_entry("a", "k").must("remove"));
    let other = desk.entry("b", "k").must("entry").must("there");
    assert_eq!((&*other.body, other.version), ("2", 1));
    assert_eq!(put("a", "5", Expect::New, 6), Put::Stored { version: 1 }, "begun anew");
}

fn entries_come_in_pages(desk: &dyn Desk) {
    for key in ["b", "d", "a", "c", "aa"] {
        desk.put_entry("q", key, "{}", Expect::New, at(1)).must("put");
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = desk.entries("q", &after, 2).must("entries");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = last.key.clone();
        seen.extend(page.into_iter().map(|entry| entry.key));
    }
    assert_eq!(seen, ["a", "aa", "b", "c", "d"], "each once, by key");
    assert_eq!(desk.entries("q", "", 0).must("entries"), []);
    assert_eq!(desk.entries("q", "bb", 1).must("entries")[0].key, "c", "after is no key itself");
}
