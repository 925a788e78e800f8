//! What every index must do with labels and protected patients.

use std::collections::BTreeMap;
use std::sync::Arc;

use pacslab_model::{Level, Uid, tags};

use super::Must;
use super::index::instance;
use crate::blobs::{Location, Position};
use crate::index::Index;

pub(super) fn labels(make: &dyn Fn() -> Arc<dyn Index>) {
    labels_stick_and_end_with_their_resource(&*make());
    patients_are_protected_until_they_are_gone(&*make());
    objects_lie_where_they_were_moved(&*make());
    arrivals_begin_what_they_are_the_oldest_of(&*make());
}

fn arrivals_begin_what_they_are_the_oldest_of(index: &dyn Index) {
    assert_eq!(index.last_arrival().must("last"), 0);
    let all = [
        instance(0, 1, 1),
        instance(0, 1, 2),
        instance(0, 2, 1),
        instance(1, 1, 1),
        instance(2, 1, 1),
    ];
    index.ingest(&all, at(5)).must("ingest");
    let numbers: Vec<u64> =
        index.arrivals_after(0, 9).must("arrivals").iter().map(|a| a.number).collect();
    use Level::{Instance, Patient, Series, Study};
    let begin = index.begin(&numbers).must("begin");
    assert_eq!(begin, [Patient, Instance, Series, Study, Patient]);
    index.remove(&[all[0].sop_instance.clone()], at(6)).must("remove");
    let begin = index.begin(&numbers[1..3]).must("begin");
    assert_eq!(begin, [Patient, Series], "the next one is the oldest");
    assert_eq!(index.last_arrival().must("last"), numbers[4]);
}

fn objects_lie_where_they_were_moved(index: &dyn Index) {
    let all = [instance(0, 1, 1), instance(0, 1, 2)];
    index.ingest(&all, at(2)).must("ingest");
    assert_eq!(index.held().must("held"), BTreeMap::from([(1, 2000)]));
    let to = Location { pack: 7, offset: 5, ..all[1].location };
    let moved = [(all[1].sop_instance.clone(), to), (Uid::new("1.2.9.9"), to)];
    index.relocate(3, &moved).must("nothing lies in pack 3");
    assert_eq!(index.held().must("held"), BTreeMap::from([(1, 2000)]));
    index.relocate(1, &moved).must("relocate");
    assert_eq!(index.held().must("held"), BTreeMap::from([(1, 1000), (7, 1000)]));
    let known = index.known(&[all[1].sop_instance.clone()]).must("known");
    assert_eq!(known[0].as_ref().map(|known| known.location), Some(to));
}

fn at(sequence: u64) -> Position {
    Position { sequence, pack: 1, offset: sequence }
}

fn labels_stick_and_end_with_their_resource(index: &dyn Index) {
    let all = [instance(0, 1, 1), instance(1, 1, 1)];
    index.ingest(&all, at(2)).must("ingest");
    let put = |level, key: &str, label: &str, on, upto| {
        index.label(level, key, label, on, at(upto)).must("label")
    };
    assert!(put(Level::Study, "1.2.0", "teaching", true, 3));
    assert!(put(Level::Study, "1.2.0", "a", true, 4));
    assert!(put(Level::Study, "1.2.0", "a", true, 5), "twice is once");
    assert!(put(Level::Study, "1.2.1", "teaching", true, 6));
    assert!(put(Level::Patient, "P0", "teaching", true, 7));
    assert!(put(Level::Instance, "1.2.0.1.1", "key", true, 8));
    assert!(!put(Level::Study, "1.2.7", "teaching", true, 9), "there is no such study");
    assert_eq!(index.position().must("position"), at(9));
    assert_eq!(index.labels_of(Level::Study, "1.2.0").must("labels"), ["a", "teaching"]);
    assert_eq!(index.labelled(Level::Study, "teaching").must("labelled"), ["1.2.0", "1.2.1"]);
    assert_eq!(index.labels().must("all"), ["a", "key", "teaching"]);
    put(Level::Study, "1.2.0", "a", false, 10);
    assert_eq!(index.labels().must("all"), ["key", "teaching"]);
    // the study goes, the patient has another one
    index.remove(&[Uid::new("1.2.0.1.1")], at(11)).must("remove");
    assert_eq!(index.labels_of(Level::Instance, "1.2.0.1.1").must("labels"), [""; 0]);
    assert_eq!(index.labelled(Level::Study, "teaching").must("labelled"), ["1.2.1"]);
    assert_eq!(index.labelled(Level::Patient, "teaching").must("labelled"), ["P0"]);
    // and comes again without its labels
    index.ingest(&all[..1], at(12)).must("ingest");
    assert_eq!(index.labels_of(Level::Study, "1.2.0").must("labels"), [""; 0]);
}

fn patients_are_protected_until_they_are_gone(index: &dyn Index) {
    index.ingest(&[instance(0, 1, 1)], at(1)).must("ingest");
    assert!(!index.protect("P9", true, at(2)).must("protect"), "there is no such patient");
    assert!(index.protect("P0", true, at(3)).must("protect"));
    assert!(index.is_protected("P0").must("protected"));
    assert!(index.protect("P0", false, at(4)).must("protect"));
    assert!(!index.is_protected("P0").must("protected"));
    assert!(index.protect("P0", true, at(5)).must("protect"));
    // P1 came earlier, P2 between
    let (mut first, mut second) = (instance(2, 1, 1), instance(4, 1, 1));
    first.received_at.micros = -5;
    second.received_at.micros = 0;
    index.ingest(&[first, second], at(5)).must("ingest");
    assert_eq!(index.oldest_unprotected(9).must("oldest"), ["P1", "P2"]);
    assert_eq!(index.oldest_unprotected(1).must("oldest"), ["P1"]);
    let to = [(tags::PATIENT_ID, "P1".to_owned())];
    assert!(index.relabel(&Uid::new("1.2.0"), &to, at(6)).must("relabel"));
    assert!(!index.is_protected("P0").must("protected"), "it went with its last study");
    assert!(!index.is_protected("P1").must("protected"));
}
