//! Mutations that follow from a seed: what the stable tests have in place of libFuzzer.

/// Random numbers that are the same everywhere (SplitMix64).
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// 0 where there is no choice.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.number() % end as u64) as usize }
    }
}

/// Nothing gets longer than this.
const LONGEST: usize = 16 << 10;

/// Changes a seed in one to six places; `other` is what pieces are taken from.
pub fn mutated(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(6) {
        once(&mut bytes, other, random);
        bytes.truncate(LONGEST);
    }
    bytes
}

fn once(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    const TELLING: &[u8] = b"\x00\x01\x7f\x80\xff\r\n\x0b\x1c\\|^~&*?-\"{}[]:=/ ";
    let at = random.below(bytes.len());
    match random.below(10) {
        _ if bytes.is_empty() => bytes.push(random.number() as u8),
        0 => bytes[at] = random.number() as u8,
        1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = TELLING[random.below(TELLING.len())],
        3 => bytes.insert(at, TELLING[random.below(TELLING.len())]),
        4 => drop(bytes.drain(at..(at + 1 + random.below(16)).min(bytes.len()))),
        5 => bytes.truncate(at),
        // a length or a count, in either byte order
        6 => {
            let near = [0, 1, 2, 0xFFFF, 0xFFFF_FFFF, 0x7FFF_FFFF, bytes.len() as u32];
            let value = near[random.below(near.len())].wrapping_sub(random.below(3) as u32);
            let value =
                if random.below(2) == 0 { value.to_le_bytes() } else { value.to_be_bytes() };
            let width = if random.below(2) == 0 { 2 } else { 4 };
            for (to, from) in bytes.iter_mut().skip(at).zip(&value[..width]) {
                *to = *from;
            }
        }
        // something again, elsewhere
        7 => {
            let end = (at + 1 + random.below(64)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, piece);
        }
        _ => {
            let from = random.below(other.len());
            let piece = &other[from..(from + random.below(64)).min(other.len())];
            bytes.splice(at..at, piece.iter().copied());
        }
    }
}
