//! What the things of a benchmark are called: recognisable, and unique to its run.

use pacslab_model::Seed;

/// Every patient of a benchmark is called so.
pub(crate) const PREFIX: &str = "PLBENCH";

/// What things are called: all of it follows from the seed and a number.
#[derive(Debug, Clone)]
pub(crate) struct Naming {
    pub(crate) seed: Seed,
    /// Five characters that tell this run from others.
    pub(crate) run: String,
    /// Eighteen digits for its UIDs.
    digits: u64,
}

impl Naming {
    pub(crate) fn new(seed: Seed) -> Self {
        let stream = seed.stream(&["bench", "run"]);
        let number = |at: usize| {
            stream[at..at + 8].iter().fold(0u64, |all, byte| all << 8 | u64::from(*byte))
        };
        let mut left = number(0);
        let run = std::iter::repeat_with(|| {
            let digit = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[(left % 32) as usize];
            left /= 32;
            char::from(digit)
        });
        Self { seed, run: run.take(5).collect(), digits: number(8) % 1_000_000_000_000_000_000 }
    }

    /// `PLBENCH-7QK2M-0000000012`
    pub(crate) fn patient_id(&self, study: u64) -> String {
        format!("{PREFIX}-{}-{study:010}", self.run)
    }

    /// What matches the patients of this run.
    pub(crate) fn patients(&self) -> String {
        format!("{PREFIX}-{}-*", self.run)
    }

    /// `B7QK2M0000000012`: 16 characters are the most that an accession number may have.
    pub(crate) fn accession(&self, study: u64) -> String {
        format!("B{}{study:010}", self.run)
    }

    /// `PLBENCH-KQWXA^CASE`: neighbours have names that begin with different letters.
    pub(crate) fn name(study: u64) -> String {
        const ALL: u64 = 26u64.pow(5);
        // odd and no multiple of 13: each study up to 26^5 has its own letters
        let mut left = (study % ALL) * 7_368_787 % ALL;
        let letters = std::iter::repeat_with(|| {
            let letter = b'A' + (left % 26) as u8;
            left /= 26;
            char::from(letter)
        });
        format!("{PREFIX}-{}^CASE", letters.take(5).collect::<String>())
    }

    /// `20190211`: ten years, so that a week finds few of them.
    pub(crate) fn date(study: u64) -> String {
        date_of_day(day(study))
    }

    pub(crate) fn study_uid(&self, study: u64) -> String {
        self.uid(1, study, 0)
    }

    pub(crate) fn series_uid(&self, study: u64) -> String {
        self.uid(2, study, 0)
    }

    pub(crate) fn instance_uid(&self, study: u64, index: u64) -> String {
        self.uid(3, study, index)
    }

    /// 44 characters: PS3.5 B.2 with a number below 2^128.
    fn uid(&self, kind: u8, study: u64, index: u64) -> String {
        format!("2.25.1{:018}{kind}{study:010}{index:09}", self.digits)
    }
}

/// Days after the first that studies may have.
const DAYS: u64 = 3652;

pub(crate) fn day(study: u64) -> u64 {
    study.wrapping_mul(1483) % DAYS
}

/// The day so many days after 2015-01-01.
pub(crate) fn date_of_day(day: u64) -> String {
    use pacslab_model::Moment;
    // 2015-01-01 is day 16436 of the epoch
    const FIRST: u64 = 16_436;
    let micros = (FIRST + day).saturating_mul(86_400_000_000);
    Moment::new(micros as i64, 0).da()
}

#[cfg(test)]
mod tests {
    use pacslab_model::Uid;

    use super::*;

    fn naming() -> Naming {
        Naming::new(Seed(7))
    }

    #[test]
    fn names_dates_and_uids_are_their_own() {
        let names: std::collections::HashSet<String> = (0..5000).map(Naming::name).collect();
        assert_eq!(names.len(), 5000);
        assert_eq!(date_of_day(0), "20150101");
        assert_eq!(date_of_day(DAYS - 1), "20241230");
        let naming = naming();
        assert_eq!(naming.study_uid(1).len(), naming.instance_uid(999, 999).len());
        assert!(Uid::new(naming.series_uid(9_999_999_999)).is_valid());
    }
}
