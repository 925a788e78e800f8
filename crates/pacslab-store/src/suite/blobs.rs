//! What every blob store must do.

use std::sync::Arc;

use super::Must;
use crate::blobs::{Blobs, Kind, Location, Position, Reading, Record, Role};

/// Runs the contract against stores that `make` makes empty.
pub fn blobs(make: &dyn Fn() -> Arc<dyn Blobs>) {
    bodies_come_back(&*make());
    ranges_end_where_the_body_ends(&*make());
    pieces_are_checked(&*make());
    what_needs_no_waiting_is_the_same(&*make());
    records_are_replayed_in_order(&*make());
    segments_become_records(&*make());
    what_is_not_there_is_an_error(&*make());
    what_is_released_is_needed_by_nobody(&*make());
    every_byte_is_verified(&*make());
    many_may_write_and_read(&make());
}

fn what_is_released_is_needed_by_nobody(blobs: &dyn Blobs) {
    let note = Record { kind: Kind::Delete, note: b"d", head: b"", body: b"uids" };
    let appended = blobs.append(&[record(b"1", b"one"), record(b"2", b"two"), note]).must("append");
    let before = blobs.usage().on_disk;
    for _ in 0..2 {
        blobs.release(&appended.locations[1..2]).must("release, twice the same");
    }
    assert!(blobs.usage().on_disk <= before);
    assert_eq!(blobs.read(&appended.locations[0]).must("read"), b"head one");
    assert_eq!(blobs.read(&appended.locations[2]).must("read a change"), b"uids");
    assert_eq!(blobs.read(&appended.locations[1]).is_err(), blobs.frees_at_once());
    let all = replayed(blobs, Position::default());
    assert_eq!(all.len(), 3, "the record stays");
    assert_eq!(all[1].2, appended.locations[1]);
    let again = blobs.append(&[record(b"2", b"two")]).must("append").locations[0];
    assert_ne!(again, appended.locations[1]);
    assert_eq!(blobs.read(&again).must("read"), b"head two");
    if blobs.frees_at_once() {
        let packs = blobs.packs();
        assert!(packs.iter().all(|pack| matches!(pack.role, Role::Records { .. })), "{packs:?}");
    }
}

fn every_byte_is_verified(blobs: &dyn Blobs) {
    let large: Vec<u8> = (0..(1 << 20) + 7).map(|n| n as u8).collect();
    for body in [&b""[..], b"x", &large] {
        let at = blobs.append(&[record(b"", body)]).must("append").locations[0];
        blobs.verify(&at).must("verify");
        assert!(blobs.verify(&Location { crc: !at.crc, ..at }).is_err(), "another CRC");
        assert!(blobs.verify(&Location { pack: at.pack + 7, ..at }).is_err(), "not there");
    }
}

fn record<'a>(note: &'a [u8], body: &'a [u8]) -> Record<'a> {
    Record { kind: Kind::Instance, note, head: b"head ", body }
}

fn bodies_come_back(blobs: &dyn Blobs) {
    let large = vec![7; 3 << 20];
    let appended = blobs
        .append(&[record(b"1", b"one"), record(b"", b""), record(b"3", &large)])
        .must("append");
    assert_eq!(appended.locations.len(), 3);
    assert_eq!(blobs.read(&appended.locations[0]).must("read"), b"head one");
    assert_eq!(blobs.read(&appended.locations[1]).must("read"), b"head ");
    let third = blobs.read(&appended.locations[2]).must("read");
    assert_eq!(third.len(), large.len() + 5);
    assert_eq!(appended.end, blobs.position());
    let nothing = blobs.append(&[]).must("append nothing");
    assert_eq!(nothing.end, appended.end);
    let long = vec![0; 100_000];
    assert!(blobs.append(&[record(&long, b"")]).is_err(), "notes are bounded");
}

fn ranges_end_where_the_body_ends(blobs: &dyn Blobs) {
    let at = blobs.append(&[record(b"", b"0123456789")]).must("append").locations[0];
    assert_eq!(blobs.read_range(&at, 5, 3).must("range"), b"012");
    assert_eq!(blobs.read_range(&at, 13, 10).must("range"), b"89");
    assert_eq!(blobs.read_range(&at, 99, 10).must("range"), b"");
    let mut buffer = [0; 10];
    assert_eq!(blobs.read_into(&at, 10, &mut buffer).must("read into"), 5);
    assert_eq!(buffer, *b"56789\0\0\0\0\0");
    assert_eq!(blobs.read_into(&at, 99, &mut buffer).must("read into"), 0);
}

/// What was read in pieces is known to be whole, or its last piece is an error.
fn pieces_are_checked(blobs: &dyn Blobs) {
    let at = blobs.append(&[record(b"", b"0123456789")]).must("append").locations[0];
    for (size, pieces) in [(4, 4), (5, 3), (15, 1), (100, 1)] {
        let (mut reading, mut buffer, mut all) = (Reading::of(at), vec![0; size], Vec::new());
        let mut count = 0;
        while reading.left() > 0 {
            let read = blobs.read_next(&mut reading, &mut buffer).must("read a piece");
            all.extend_from_slice(&buffer[..read]);
            count += 1;
        }
        assert_eq!((&all[..], count), (&b"head 0123456789"[..], pieces));
    }
}

/// A store may always say that it has to wait, but nothing else than what it would give then.
fn what_needs_no_waiting_is_the_same(blobs: &dyn Blobs) {
    let large: Vec<u8> = (0..(1 << 20) + 7).map(|n: usize| (n * 31) as u8).collect();
    for body in [&b""[..], b"0123456789", &large] {
        let at = blobs.append(&[record(b"", body)]).must("append").locations[0];
        let whole = blobs.read(&at).must("read");
        for size in [4, 300 << 10, 2 << 20] {
            let (mut reading, mut buffer, mut all) = (Reading::of(at), vec![0; size], Vec::new());
            while let Some(read) = blobs.read_next_now(&mut reading, &mut buffer) {
                all.extend_from_slice(&buffer[..read.must("a piece that is there")]);
                if reading.left() == 0 {
                    break;
                }
            }
            while reading.left() > 0 {
                let read = blobs.read_next(&mut reading, &mut buffer).must("the rest");
                all.extend_from_slice(&buffer[..read]);
            }
            assert!(all == whole, "{} bytes by {size}", whole.len());
        }
        let mut wrong = Reading::of(Location { crc: !at.crc, ..at });
        let mut buffer = vec![0; whole.len()];
        if let Some(read) = blobs.read_next_now(&mut wrong, &mut buffer) {
            assert!(read.is_err(), "another CRC");
        }
        let mut gone = Reading::of(Location { pack: at.pack + 7, ..at });
        assert!(blobs.read_next_now(&mut gone, &mut buffer).is_none(), "not there");
    }
}

fn replayed(blobs: &dyn Blobs, from: Position) -> Vec<(Kind, Vec<u8>, Location, Position)> {
    let mut all = Vec::new();
    let end = blobs
        .replay(from, &mut |record| {
            all.push((record.kind, record.note.clone(), record.location, record.end));
            Ok(())
        })
        .must("replay");
    assert_eq!(end, blobs.position());
    all
}

fn records_are_replayed_in_order(blobs: &dyn Blobs) {
    assert_eq!(replayed(blobs, Position::default()), []);
    let first = blobs.append(&[record(b"a", b"1"), record(b"b", b"2")]).must("append");
    let delete = Record { kind: Kind::Delete, note: b"c", head: b"", body: b"" };
    let second = blobs.append(&[delete]).must("append");
    let all = replayed(blobs, Position::default());
    assert_eq!(all.iter().map(|r| r.1.as_slice()).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    assert_eq!(all[1].2, first.locations[1]);
    assert_eq!(all[1].3.sequence, first.end.sequence);
    assert_eq!(all[2].0, Kind::Delete);
    assert_eq!(replayed(blobs, first.end).len(), 1, "only what came after");
    assert_eq!(replayed(blobs, all[0].3).len(), 2);
    assert_eq!(replayed(blobs, second.end), []);
    // A position whose place is unknown is found by its number.
    let by_number = Position { sequence: 1, ..Position::default() };
    assert_eq!(replayed(blobs, by_number).len(), 2);
    let stopped = blobs
        .replay(Position::default(), &mut |_| Err(crate::StoreError::Other("enough".to_owned())));
    assert_eq!(stopped.map_err(|e| e.to_string()), Err("enough".to_owned()));
    let beyond = Position { sequence: 99, ..Position::default() };
    if !replay_is_empty(blobs, beyond) {
        panic!("a position beyond the end must not replay anything");
    }
}

fn replay_is_empty(blobs: &dyn Blobs, from: Position) -> bool {
    let mut empty = true;
    // An error says that the position belongs to other blobs, which is right as well.
    let _ = blobs.replay(from, &mut |_| {
        empty = false;
        Ok(())
    });
    empty
}

fn segments_become_records(blobs: &dyn Blobs) {
    blobs.append(&[record(b"before", b"")]).must("append");
    let mut segment = blobs.begin_segment().must("begin");
    let mut dropped = blobs.begin_segment().must("begin a second one");
    dropped.write(b"never").must("write");
    drop(dropped);
    for part in [&b"some "[..], &[1; 300_000], b" end"] {
        segment.write(part).must("write");
    }
    assert_eq!(segment.written(), 300_009);
    blobs.append(&[record(b"meanwhile", b"")]).must("append while a segment is open");
    let sealed = segment.seal().must("seal");
    assert_eq!(sealed.len(), 300_009);
    let adopted = blobs.adopt(sealed, Kind::Instance, b"large").must("adopt");
    let body = blobs.read(&adopted.locations[0]).must("read");
    assert_eq!((body.len(), &body[..5]), (300_009, &b"some "[..]));
    assert_eq!(blobs.read_range(&adopted.locations[0], 300_005, 99).must("range"), b" end");
    blobs.append(&[record(b"after", b"")]).must("append");
    let notes: Vec<Vec<u8>> =
        replayed(blobs, Position::default()).into_iter().map(|r| r.1).collect();
    assert_eq!(notes, [&b"before"[..], b"meanwhile", b"large", b"after"]);
    let abandoned = blobs.begin_segment().must("begin").seal().must("seal");
    drop(abandoned);
}

fn what_is_not_there_is_an_error(blobs: &dyn Blobs) {
    let at = blobs.append(&[record(b"", b"x")]).must("append").locations[0];
    for wrong in [
        Location { pack: at.pack + 7, ..at },
        Location { len: u64::MAX, ..at },
        Location { offset: u64::MAX, ..at },
        Location { crc: !at.crc, ..at },
    ] {
        assert!(blobs.read(&wrong).is_err(), "{wrong}");
    }
}

fn many_may_write_and_read(blobs: &Arc<dyn Blobs>) {
    let threads: Vec<_> = (0..4u8)
        .map(|thread| {
            let blobs = blobs.clone();
            std::thread::spawn(move || {
                for n in 0..25u8 {
                    let body = [thread, n];
                    let appended = blobs.append(&[record(&body, &body)]).must("append");
                    let read = blobs.read(&appended.locations[0]).must("read");
                    assert_eq!(read[5..], body);
                }
            })
        })
        .collect();
    for thread in threads {
        assert!(thread.join().is_ok());
    }
    let all = replayed(&**blobs, Position::default());
    assert_eq!(all.len(), 100);
    let sequences: Vec<u64> = all.iter().map(|r| r.3.sequence).collect();
    assert_eq!(sequences, (1..=100).collect::<Vec<u64>>());
}
