//! What every desk must do.

use std::sync::Arc;

use pacslab_model::order::{Identifier, Order, ScheduledStep, StepStatus};
use pacslab_model::{AeTitle, Moment, PersonName};

use super::Must;
use crate::desk::{Desk, Expect, OrderFilter, Put, StepChange, together};
use crate::error::StoreError;

/// Runs the contract against desks that `make` makes empty.
pub fn desk(make: &dyn Fn() -> Arc<dyn Desk>) {
    orders_are_compared_and_set(&*make());
    orders_are_found(&*make());
    steps_change_from_what_they_are(&*make());
    only_one_of_two_changes_wins(&make());
    numbers_cursors_and_answers(&*make());
    entries_are_compared_and_set(&*make());
    what_is_done_together_is_done_or_not(&*make());
    changes_together_do_not_cross(&make());
    super::papers::papers(make);
}

pub(super) fn at(micros: i64) -> Moment {
    Moment::new(micros, 3600)
}

pub(super) fn order(accession: &str, date: &str) -> Order {
    Order {
        accession: accession.to_owned(),
        placer: Identifier::new(format!("P{accession}"), "HIS"),
        filler: Identifier::new(format!("F{accession}"), "RIS"),
        steps: vec![ScheduledStep {
            id: "1".to_owned(),
            description: String::new(),
            protocol: Default::default(),
            modality: "CT".to_owned(),
            station: AeTitle::new("CT1").must("an AE title"),
            station_name: String::new(),
            location: String::new(),
            start_date: date.to_owned(),
            start_time: "080000".to_owned(),
            performing_physician: PersonName::default(),
            status: StepStatus::Scheduled,
        }],
        ..Order::default()
    }
}

fn orders_are_compared_and_set(desk: &dyn Desk) {
    let mut one = order("A1", "20260105");
    assert_eq!(desk.put_order(&one, Expect::Version(1), at(1)).must("put"), Put::Gone);
    assert_eq!(desk.put_order(&one, Expect::New, at(1)).must("put"), Put::Stored { version: 1 });
    assert_eq!(
        desk.put_order(&one, Expect::New, at(2)).must("put"),
        Put::Unchanged { version: 1 },
        "the same order again changes nothing"
    );
    one.procedure.description = "CT head".to_owned();
    match desk.put_order(&one, Expect::New, at(3)).must("put") {
        Put::Conflict(held) => assert_eq!(held.version, 1),
        other => panic!("a different order under the same number is a conflict: {other:?}"),
    }
    let stored = desk.put_order(&one, Expect::Version(1), at(4)).must("put");
    assert_eq!(stored, Put::Stored { version: 2 });
    let stale = desk.put_order(&order("A1", "20260106"), Expect::Version(1), at(5)).must("put");
    assert!(matches!(stale, Put::Conflict(_)), "{stale:?}");
    let held = desk.order("A1").must("order").must("there");
    assert_eq!((held.order, held.version), (one, 2));
    assert_eq!((held.created_at, held.changed_at), (at(1), at(4)));
    assert_eq!(desk.order("A2").must("order"), None);
}

fn orders_are_found(desk: &dyn Desk) {
    for (accession, date) in [("A3", "20260107"), ("A1", "20260105"), ("A2", "20260106")] {
        desk.put_order(&order(accession, date), Expect::New, at(1)).must("put");
    }
    desk.set_step("A2", "1", StepStatus::Scheduled, StepStatus::Started, at(2)).must("step");
    let found = |filter: OrderFilter| -> Vec<String> {
        desk.orders(&filter).must("orders").into_iter().map(|o| o.order.accession).collect()
    };
    assert_eq!(found(OrderFilter::default()), ["A1", "A2", "A3"], "by start");
    assert_eq!(found(OrderFilter::on_worklist()), ["A1", "A3"]);
    let from = OrderFilter { from_date: Some("20260106".into()), ..OrderFilter::default() };
    assert_eq!(found(from), ["A2", "A3"]);
    let by = OrderFilter { placer_number: Some("PA3".into()), ..OrderFilter::default() };
    assert_eq!(found(by), ["A3"]);
    let station = OrderFilter { station: Some("MR1".into()), ..OrderFilter::default() };
    assert_eq!(found(station), [""; 0]);
    let page = OrderFilter { offset: 1, limit: Some(1), ..OrderFilter::default() };
    assert_eq!(found(page), ["A2"]);
}

fn steps_change_from_what_they_are(desk: &dyn Desk) {
    use StepStatus::{Completed, Scheduled, Started};
    desk.put_order(&order("A1", "20260105"), Expect::New, at(1)).must("put");
    let set = |step: &str, from, to| desk.set_step("A1", step, from, to, at(2)).must("step");
    assert!(matches!(set("1", Scheduled, Started), StepChange::Done(_)));
    assert_eq!(set("1", Scheduled, Started), StepChange::Was(Started));
    assert_eq!(set("2", Scheduled, Started), StepChange::NoSuchStep);
    let none = desk.set_step("A9", "1", Scheduled, Started, at(2)).must("step");
    assert_eq!(none, StepChange::NoSuchOrder);
    match set("1", Started, Completed) {
        StepChange::Done(record) => {
            assert_eq!(record.version, 3);
            assert_eq!(record.order.steps[0].status, Completed);
            assert_eq!(desk.order("A1").must("order").must("there"), *record);
        }
        other => panic!("{other:?}"),
    }
}

fn only_one_of_two_changes_wins(desk: &Arc<dyn Desk>) {
    desk.put_order(&order("A1", "20260105"), Expect::New, at(1)).must("put");
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let desk = desk.clone();
            std::thread::spawn(move || {
                let change =
                    desk.set_step("A1", "1", StepStatus::Scheduled, StepStatus::Started, at(2));
                matches!(change.must("step"), StepChange::Done(_))
            })
        })
        .collect();
    let winners = threads
        .into_iter()
        .filter(|_| true)
        .map(|t| t.join())
        .filter(|won| matches!(won, Ok(true)));
    assert_eq!(winners.count(), 1);
}

fn numbers_cursors_and_answers(desk: &dyn Desk) {
    assert_eq!(desk.next_number("accession").must("number"), 1);
    assert_eq!(desk.next_number("accession").must("number"), 2);
    assert_eq!(desk.next_number("patient").must("number"), 1);
    assert_eq!(desk.cursor("arrivals").must("cursor"), 0);
    desk.set_cursor("arrivals", 17).must("set");
    assert_eq!(desk.cursor("arrivals").must("cursor"), 17);
    assert_eq!(desk.answer("HIS|A", "1").must("answer"), None);
    desk.put_answer("HIS|A", "1", b"MSA|AA|1", at(1)).must("put");
    assert_eq!(desk.answer("HIS|A", "1").must("answer").as_deref(), Some(&b"MSA|AA|1"[..]));
    assert_eq!(desk.answer("HIS|B", "1").must("answer"), None, "another sender's number");
}

fn entries_are_compared_and_set(desk: &dyn Desk) {
    let put = |key: &str, body: &str, expect| {
        desk.put_entry("mpps", key, body, expect, at(1)).must("put")
    };
    assert_eq!(put("1.2", "{}", Expect::New), Put::Stored { version: 1 });
    assert_eq!(put("1.2", "{}", Expect::New), Put::Unchanged { version: 1 });
    assert!(matches!(put("1.2", "[]", Expect::New), Put::Conflict(_)));
    assert_eq!(put("1.2", "[]", Expect::Version(1)), Put::Stored { version: 2 });
    assert_eq!(put("1.1", "1", Expect::Any), Put::Stored { version: 1 });
    let keys: Vec<String> =
        desk.entries("mpps", "", 10).must("entries").into_iter().map(|e| e.key).collect();
    assert_eq!(keys, ["1.1", "1.2"]);
    assert_eq!(desk.entries("mpps", "1.1", 10).must("entries").len(), 1);
    assert_eq!(desk.entries("queue", "", 10).must("entries"), []);
    assert!(desk.remove_entry("mpps", "1.1").must("remove"));
    assert!(!desk.remove_entry("mpps", "1.1").must("remove"));
    assert_eq!(desk.entry("mpps", "1.1").must("entry"), None);
}

fn what_is_done_together_is_done_or_not(desk: &dyn Desk) {
    let done: Result<u64, StoreError> = together(desk, |papers| {
        papers.put_order(&order("A1", "20260105"), Expect::New, at(1))?;
        papers.put_answer("HIS", "1", b"AA", at(1))?;
        papers.put_entry("queue", "1", "{}", Expect::New, at(1))?;
        assert!(papers.order("A1")?.is_some(), "it sees what it wrote");
        papers.next_number("accession")
    });
    assert_eq!(done.must("done"), 1);
    assert!(desk.order("A1").must("order").is_some());
    assert_eq!(desk.answer("HIS", "1").must("answer").must("there"), b"AA");
    assert!(desk.entry("queue", "1").must("entry").is_some());

    let undone: Result<(), StoreError> = together(desk, |papers| {
        papers.put_order(&order("A2", "20260105"), Expect::New, at(2))?;
        papers.set_step("A1", "1", StepStatus::Scheduled, StepStatus::Started, at(2))?;
        papers.remove_entry("queue", "1")?;
        papers.set_cursor("arrivals", 7)?;
        papers.next_number("accession")?;
        Err(StoreError::Other("thought better of it".to_owned()))
    });
    assert_eq!(undone.unwrap_err().to_string(), "thought better of it");
    assert_eq!(desk.order("A2").must("order"), None);
    let kept = desk.order("A1").must("order").must("there");
    assert_eq!((kept.order.steps[0].status, kept.version), (StepStatus::Scheduled, 1));
    assert!(desk.entry("queue", "1").must("entry").is_some());
    assert_eq!(desk.cursor("arrivals").must("cursor"), 0);
    assert_eq!(desk.next_number("accession").must("number"), 2, "none is lost with it");
}

/// Nobody's reading and writing is parted by another's: no change is lost.
fn changes_together_do_not_cross(desk: &Arc<dyn Desk>) {
    desk.put_entry("counts", "all", "0", Expect::New, at(1)).must("put");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for n in 0..25 {
                    let key = format!("{thread}-{n}");
                    let counted: Result<(), StoreError> = together(&**desk, |papers| {
                        let held = papers.entry("counts", "all")?.must("there");
                        let next = held.body.parse::<u32>().must("a number") + 1;
                        let expect = Expect::Version(held.version);
                        papers.put_entry("counts", "all", &next.to_string(), expect, at(2))?;
                        papers.put_entry("done", &key, "{}", Expect::New, at(2))?;
                        Ok(())
                    });
                    counted.must("counted");
                    assert!(desk.entry("done", &key).must("entry").is_some(), "as answered");
                }
            });
        }
    });
    assert_eq!(desk.entry("counts", "all").must("entry").must("there").body, "100");
}
