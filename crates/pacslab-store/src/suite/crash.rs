//! What survives a power failure: all that was acknowledged, and nothing that is not whole.

use std::path::Path;
use std::sync::Arc;

use super::Must;
use super::sim::{Dice, SimDisk};
use crate::blobs::{Blobs, Kind, Location, Position, Record};
use crate::error::Result;

/// Makes or opens a store on a disk.
pub type OpenOn<'a> = &'a dyn Fn(SimDisk, &Path) -> Result<Arc<dyn Blobs>>;

/// Several lives of one store, each ended by a power failure at a point that follows from `seed`.
pub fn power_failures(seed: u64, open: OpenOn<'_>) {
    let disk = SimDisk::new(seed);
    let mut dice = Dice::new(seed ^ 0x5EED);
    let dir = Path::new("/packs");
    // Records of one length lie where those of an earlier life lay.
    let length = (seed % 2 == 1).then(|| 100 + dice.roll(900) as usize);
    let mut truth = Truth { length, ..Truth::default() };
    for life in 0..6 {
        let blobs = match open(disk.clone(), dir) {
            Ok(blobs) => blobs,
            Err(error) => panic!("seed {seed} life {life}: does not open: {error}"),
        };
        truth.check(&*blobs, &format!("seed {seed} life {life}"));
        disk.fail_power_after(1 + dice.roll(60));
        while !disk.is_off() {
            truth.act(&*blobs, &disk, &mut dice);
        }
        drop(blobs);
        disk.reboot();
    }
    let blobs = open(disk, dir).must("open at last");
    truth.check(&*blobs, &format!("seed {seed} at last"));
}

/// What was stored, as far as anybody was told.
#[derive(Default)]
struct Truth {
    acknowledged: Vec<(Location, Vec<u8>)>,
    /// Told to have failed, while the power was on: must not come back.
    refused: Vec<Vec<u8>>,
    /// Under way when the power failed: may be there.
    unknown: Vec<Vec<u8>>,
    made: u32,
    /// Of all bodies; `None`: any.
    length: Option<usize>,
}

impl Truth {
    fn act(&mut self, blobs: &dyn Blobs, disk: &SimDisk, dice: &mut Dice) {
        let failing = dice.roll(12) == 0;
        if failing {
            disk.fail_sync_after(dice.roll(4));
        }
        let large = dice.roll(5) == 0;
        let count = if large { 1 } else { 1 + dice.roll(5) };
        let bodies: Vec<Vec<u8>> = (0..count).map(|_| self.body(dice)).collect();
        let answer = if large {
            spool(blobs, &bodies[0])
        } else {
            let batch: Vec<Record<'_>> = bodies
                .iter()
                .map(|body| Record {
                    kind: Kind::Instance,
                    note: &body[..4],
                    head: &body[..10],
                    body: &body[10..],
                })
                .collect();
            blobs.append(&batch).map(|appended| appended.locations)
        };
        match answer {
            Ok(locations) => self.acknowledged.extend(locations.into_iter().zip(bodies)),
            Err(_) if disk.is_off() => self.unknown.extend(bodies),
            Err(_) => self.refused.extend(bodies),
        }
    }

    /// The first bytes are a number of its own.
    fn body(&mut self, dice: &mut Dice) -> Vec<u8> {
        self.made += 1;
        let len = self.length.unwrap_or_else(|| 10 + dice.roll(3000) as usize);
        let mut body = dice.bytes(len);
        body[..4].copy_from_slice(&self.made.to_le_bytes());
        body
    }

    fn check(&mut self, blobs: &dyn Blobs, when: &str) {
        let mut found = Vec::new();
        let replay = blobs.replay(Position::default(), &mut |record| {
            assert_eq!(record.sequence, found.len() as u64, "{when}: a gap");
            found.push(record.location);
            Ok(())
        });
        if let Err(error) = replay {
            panic!("{when}: cannot be replayed: {error}");
        }
        for (location, body) in &self.acknowledged {
            match blobs.read(location) {
                Ok(read) => assert_eq!(read, *body, "{when}: {location} has changed"),
                Err(error) => panic!("{when}: acknowledged, and lost: {error}"),
            }
        }
        let mut expected = self.acknowledged.iter().map(|(location, _)| *location).peekable();
        let mut survived = Vec::new();
        for location in found {
            if expected.peek() == Some(&location) {
                expected.next();
                continue;
            }
            let body = blobs.read(&location).must("read a record that is there");
            assert!(!self.refused.contains(&body), "{when}: {location} was refused");
            assert!(self.unknown.contains(&body), "{when}: nobody stored {location}");
            survived.push((location, body));
        }
        assert_eq!(expected.next(), None, "{when}: acknowledged, and not replayed");
        // From now on they are there to stay.
        self.acknowledged.extend(survived);
        self.unknown.clear();
    }
}

fn spool(blobs: &dyn Blobs, body: &[u8]) -> Result<Vec<Location>> {
    let mut segment = blobs.begin_segment()?;
    segment.write(&body[..10])?;
    segment.write(&body[10..])?;
    Ok(blobs.adopt(segment.seal()?, Kind::Instance, &body[..4])?.locations)
}

/// A sync that fails once, of whatever a batch syncs: its batch fails, later ones are stored.
pub fn failing_sync(open: OpenOn<'_>) {
    for after in 0..2 {
        one_failing_sync(open, after);
    }
}

fn one_failing_sync(open: OpenOn<'_>, after: u64) {
    let disk = SimDisk::new(3);
    let dir = Path::new("/packs");
    let blobs = open(disk.clone(), dir).must("open");
    let put = |body: &[u8]| {
        let record = Record { kind: Kind::Instance, note: b"", head: b"", body };
        blobs.append(&[record]).map(|appended| appended.locations[0])
    };
    put(b"first").must("append");
    disk.fail_sync_after(after);
    let mut stored = vec![b"first".to_vec()];
    let mut failed = 0;
    for body in [&b"second"[..], b"third", b"fourth"] {
        match put(body) {
            Ok(_) => stored.push(body.to_vec()),
            Err(_) => failed += 1,
        }
    }
    assert_eq!(failed, 1, "one sync fails, and one batch");
    disk.reboot();
    let blobs = open(disk, dir).must("open again");
    let mut all = Vec::new();
    blobs
        .replay(Position::default(), &mut |record| {
            all.push(blobs.read(&record.location)?);
            Ok(())
        })
        .must("replay");
    assert_eq!(all, stored);
}

/// A full disk refuses a batch, keeps nothing of it, and goes on once there is space.
pub fn full_disk(open: OpenOn<'_>) {
    let disk = SimDisk::new(4);
    let dir = Path::new("/packs");
    let blobs = open(disk.clone(), dir).must("open");
    disk.set_capacity(40_000);
    let mut dice = Dice::new(4);
    let mut stored = Vec::new();
    let refused = loop {
        let body = dice.bytes(3000);
        let record = Record { kind: Kind::Instance, note: b"", head: &body, body: &body };
        match blobs.append(&[record, record]) {
            Ok(appended) => {
                stored.extend(appended.locations.into_iter().map(|l| (l, body.repeat(2))))
            }
            Err(error) => {
                assert!(error.is_full(), "{error}");
                break body;
            }
        }
        assert!(stored.len() < 100, "the disk never filled");
    };
    let mut segment = blobs.begin_segment();
    let spooled = segment.as_mut().map(|segment| segment.write(&[1; 50_000]));
    assert!(matches!(spooled, Err(_) | Ok(Err(_))), "a segment does not fit either");
    drop(segment);
    disk.set_capacity(u64::MAX);
    let record = Record { kind: Kind::Instance, note: b"", head: &refused, body: &refused };
    let again = blobs.append(&[record]).must("append once there is space");
    stored.push((again.locations[0], refused.repeat(2)));
    drop(blobs);
    disk.reboot();
    let blobs = open(disk, dir).must("open again");
    let mut found = Vec::new();
    blobs
        .replay(Position::default(), &mut |record| {
            found.push((record.location, blobs.read(&record.location)?));
            Ok(())
        })
        .must("replay");
    assert_eq!(found, stored);
}
