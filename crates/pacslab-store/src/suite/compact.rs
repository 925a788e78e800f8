//! Compaction of a store on a disk whose power fails: what is kept stays, in its order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Must;
use super::crash::OpenOn;
use super::sim::{Dice, SimDisk};
use crate::blobs::{Blobs, Keep, Kind, Location, Position, Record, Role};
use crate::error::Result;

/// Several lives of one store in which bodies are given up and packs rewritten, each ended by a
/// power failure at a point that follows from `seed`.
pub fn compaction(seed: u64, open: OpenOn<'_>) {
    let disk = SimDisk::new(seed);
    let mut dice = Dice::new(seed ^ 0xC0);
    let dir = Path::new("/packs");
    let mut truth = Truth::default();
    for life in 0..6 {
        let when = format!("seed {seed} life {life}");
        let blobs = match open(disk.clone(), dir) {
            Ok(blobs) => blobs,
            Err(error) => panic!("{when}: does not open: {error}"),
        };
        truth.check(&*blobs, &when);
        finish(&*blobs).must("finish what was interrupted");
        truth.check(&*blobs, &when);
        disk.fail_power_after(20 + dice.roll(120));
        while !disk.is_off() {
            truth.act(&*blobs, &disk, &mut dice);
        }
        drop(blobs);
        disk.reboot();
    }
    let blobs = open(disk, dir).must("open at last");
    truth.check(&*blobs, "at last");
}

#[derive(Default)]
struct Truth {
    /// What was stored, by the number that its note says.
    bodies: BTreeMap<u32, Vec<u8>>,
    /// Whether somebody still wants it.
    wanted: BTreeMap<u32, bool>,
    /// What must not be there any more.
    released: BTreeSet<u32>,
    made: u32,
}

impl Truth {
    fn act(&mut self, blobs: &dyn Blobs, disk: &SimDisk, dice: &mut Dice) {
        match dice.roll(8) {
            0 | 1 => {
                for (_, wanted) in self.wanted.iter_mut().filter(|_| dice.roll(4) == 0) {
                    *wanted = false;
                }
                let answer = self.release(blobs, disk);
                assert!(answer.is_ok() || disk.is_off(), "{answer:?}");
            }
            2 => {
                let answer = self.compact(blobs, dice);
                assert!(answer.is_ok() || disk.is_off(), "{answer:?}");
                if !disk.is_off() {
                    self.check(blobs, "after compaction");
                }
            }
            3 => {
                let body = self.body(dice);
                let note = self.made.to_le_bytes();
                let put = || -> Result<()> {
                    let mut segment = blobs.begin_segment()?;
                    segment.write(&body)?;
                    blobs.adopt(segment.seal()?, Kind::Instance, &note).map(drop)
                };
                self.took(put(), disk, self.made, body);
            }
            _ => {
                let body = self.body(dice);
                let note = self.made.to_le_bytes();
                let record = Record { kind: Kind::Instance, note: &note, head: b"", body: &body };
                self.took(blobs.append(&[record]).map(drop), disk, self.made, body);
            }
        }
    }

    fn body(&mut self, dice: &mut Dice) -> Vec<u8> {
        self.made += 1;
        let len = 10 + dice.roll(3000) as usize;
        dice.bytes(len)
    }

    fn took(&mut self, answer: Result<()>, disk: &SimDisk, number: u32, body: Vec<u8>) {
        assert!(answer.is_ok() || disk.is_off(), "{answer:?}");
        if answer.is_ok() {
            self.wanted.insert(number, true);
        }
        self.bodies.insert(number, body);
    }

    /// Gives up what nobody wants.
    fn release(&mut self, blobs: &dyn Blobs, disk: &SimDisk) -> Result<()> {
        let mut gone = Vec::new();
        let mut at = Vec::new();
        blobs.replay(Position::default(), &mut |record| {
            if self.wanted.get(&number(&record.note)) == Some(&false) {
                gone.push(number(&record.note));
                at.push(record.location);
            }
            Ok(())
        })?;
        blobs.release(&at)?;
        if blobs.frees_at_once() && !disk.is_off() {
            self.released.extend(gone);
        }
        Ok(())
    }

    /// Rewrites a pack, and removes it and the large bodies that nobody wants.
    fn compact(&self, blobs: &dyn Blobs, dice: &mut Dice) -> Result<()> {
        let logs: Vec<u32> = blobs
            .packs()
            .into_iter()
            .filter(|pack| matches!(pack.role, Role::Log { .. }))
            .map(|pack| pack.number)
            .collect();
        if let Some(pack) = logs.get(dice.roll(logs.len() as u64) as usize) {
            let mut singles = Vec::new();
            blobs.rewrite(*pack, &mut |record| {
                let number = number(&record.note);
                if self.wanted.get(&number) != Some(&false) {
                    return Ok(Keep::Whole);
                }
                if record.location.pack != *pack {
                    singles.push(record.location.pack);
                }
                Ok(Keep::Note(record.note.clone()))
            })?;
            for single in singles {
                blobs.discard(single)?;
            }
        }
        finish(blobs)
    }

    fn check(&mut self, blobs: &dyn Blobs, when: &str) {
        let mut found: Vec<(u32, Location)> = Vec::new();
        let replay = blobs.replay(Position::default(), &mut |record| {
            assert_eq!(record.sequence, found.len() as u64, "{when}: a gap");
            found.push((number(&record.note), record.location));
            Ok(())
        });
        if let Err(error) = replay {
            panic!("{when}: cannot be replayed: {error}");
        }
        assert!(found.is_sorted_by_key(|(number, _)| *number), "{when}: another order");
        for (number, wanted) in &self.wanted {
            let at = found.iter().find(|(found, _)| found == number);
            let Some((_, at)) = at else { panic!("{when}: record {number} is lost") };
            if *wanted {
                let body = blobs.read(at).must("read what is wanted");
                assert_eq!(Some(&body), self.bodies.get(number), "{when}: {at} has changed");
            } else if self.released.contains(number) {
                assert!(blobs.read(at).is_err(), "{when}: {at} was released");
            }
        }
        // under way when the power failed, and there to stay
        for (number, _) in found {
            self.wanted.entry(number).or_insert(true);
        }
    }
}

fn number(note: &[u8]) -> u32 {
    note.first_chunk().copied().map(u32::from_le_bytes).must("a note of four bytes")
}

/// Removes packs that others stand for.
fn finish(blobs: &dyn Blobs) -> Result<()> {
    for pack in blobs.packs() {
        if let Role::Replaced { .. } = pack.role {
            blobs.discard(pack.number)?.must("nobody reads it");
        }
    }
    Ok(())
}

/// Rewriting gives room back, and old locations are read until their pack is discarded.
pub fn compaction_frees_room(open: OpenOn<'_>) {
    let disk = SimDisk::new(5);
    let dir = Path::new("/packs");
    let blobs = open(disk.clone(), dir).must("open");
    let mut dice = Dice::new(5);
    let mut all = Vec::new();
    while blobs.packs().len() < 3 {
        let body = dice.bytes(2000);
        let record = Record { kind: Kind::Instance, note: b"note", head: b"", body: &body };
        all.push((blobs.append(&[record]).must("append").locations[0], body));
    }
    let first = blobs.packs()[0];
    let Role::Log { first: sequence, .. } = first.role else { panic!("{first:?} is no log") };
    let kept = all[1].0;
    let before = blobs.usage().on_disk;
    let last = blobs.packs().last().map(|pack| pack.number).must("a last pack");
    assert!(blobs.rewrite(last, &mut |_| Ok(Keep::Whole)).is_err(), "it is written to");
    assert!(blobs.discard(first.number).is_err(), "it is needed");
    let new = blobs
        .rewrite(first.number, &mut |record| {
            Ok(if record.location == kept { Keep::Whole } else { Keep::Note(b"gone".to_vec()) })
        })
        .must("rewrite");
    assert_eq!(blobs.read(&kept).must("read at the old place"), all[1].1);
    let mut now = None;
    blobs
        .walk(sequence, &mut |record| {
            if record.location.len > 0 {
                now = Some(record.location);
                assert_eq!(record.note, b"note");
            } else {
                assert_eq!(record.note, b"gone");
            }
            Ok(())
        })
        .must("walk");
    let now = now.must("one is left");
    assert_eq!((now.pack, blobs.read(&now).must("read")), (new, all[1].1.clone()));
    let freed = blobs.discard(first.number).must("discard").must("nobody reads it");
    assert_eq!(freed, first.on_disk);
    assert!(blobs.usage().on_disk < before - freed / 2, "{:?}", blobs.usage());
    assert!(blobs.read(&kept).is_err(), "the old place is no more");
    // and once more, with nothing to gain
    let again = blobs.rewrite(new, &mut |_| Ok(Keep::Whole)).must("rewrite again");
    blobs.discard(new).must("discard").must("nobody reads it");
    drop(blobs);
    disk.reboot();
    let blobs = open(disk, dir).must("open again");
    let at = Location { pack: again, ..now };
    assert_eq!(blobs.read(&at).must("read"), all[1].1);
}
