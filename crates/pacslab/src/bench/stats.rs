//! Times into numbers: percentiles by nearest rank, rates, ratios.

use std::collections::BTreeMap;
use std::time::Duration;

/// What happened while the clock ran, in one round or in several.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Samples {
    /// One for each request that succeeded.
    pub(crate) times: Vec<Duration>,
    /// How long the clock ran: of several rounds, the sum.
    pub(crate) elapsed: Duration,
    /// Images and the like that the successful requests were about.
    pub(crate) objects: u64,
    /// Bytes of data sets and bodies, of successful requests.
    pub(crate) bytes: u64,
    /// Failures by kind; never among `times`.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Parts of a request, where it has some.
    pub(crate) steps: BTreeMap<&'static str, Vec<Duration>>,
}

impl Samples {
    /// Adds what another connection did in the same time.
    pub(crate) fn beside(&mut self, other: Self) {
        let elapsed = self.elapsed.max(other.elapsed);
        self.after(other);
        self.elapsed = elapsed;
    }

    /// Adds another round.
    pub(crate) fn after(&mut self, other: Self) {
        self.times.extend(other.times);
        self.elapsed += other.elapsed;
        self.objects += other.objects;
        self.bytes += other.bytes;
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        for (step, times) in other.steps {
            self.steps.entry(step).or_default().extend(times);
        }
    }

    /// Something per second of the clock.
    pub(crate) fn per_second(&self, count: f64) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { count / seconds } else { 0.0 }
    }

    pub(crate) fn rate(&self) -> f64 {
        self.per_second(self.times.len() as f64)
    }
}

/// How long requests took, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Latency {
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Latency {
    /// `None` when nothing succeeded.
    pub(crate) fn of(times: &[Duration]) -> Option<Self> {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let at = |percent| percentile(&sorted, percent).map(millis);
        let sum: Duration = sorted.iter().sum();
        Some(Self {
            mean: millis(sum) / sorted.len() as f64,
            p50: at(50.0)?,
            p95: at(95.0)?,
            p99: at(99.0)?,
            max: at(100.0)?,
        })
    }
}

/// Nearest rank: the smallest value that so many percent of all values do not exceed.
fn percentile(sorted: &[Duration], percent: f64) -> Option<Duration> {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The value in the middle; of an even number, the mean of the two.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The median of the ratios of rounds that were played side by side: a disturbance that hits one
/// round moves one ratio. Rounds in which either did nothing do not count.
pub(crate) fn ratio(ours: &[f64], theirs: &[f64]) -> Option<f64> {
    let pairs = ours.iter().zip(theirs).filter(|(a, b)| **a > 0.0 && **b > 0.0);
    median(&pairs.map(|(a, b)| a / b).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(values: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        values.into_iter().map(Duration::from_millis).collect()
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        // the order in which they came is of no matter
        let hundred = Latency::of(&ms((1..=100).rev())).unwrap();
        assert_eq!((hundred.p50, hundred.p95, hundred.p99, hundred.max), (50.0, 95.0, 99.0, 100.0));
        assert_eq!(hundred.mean, 50.5);
        let few = Latency::of(&ms([10, 20, 30, 40])).unwrap();
        assert_eq!((few.p50, few.p95, few.p99, few.max), (20.0, 40.0, 40.0, 40.0));
        let one = Latency::of(&ms([7])).unwrap();
        assert_eq!((one.mean, one.p50, one.p99, one.max), (7.0, 7.0, 7.0, 7.0));
        assert_eq!(Latency::of(&[]), None);
    }

    #[test]
    fn connections_share_the_clock_and_rounds_add_to_it() {
        let part = |count: u64, seconds: u64| Samples {
            times: ms(0..count),
            elapsed: Duration::from_secs(seconds),
            objects: 2 * count,
            bytes: 100 * count,
            errors: [("refused".to_owned(), 1)].into(),
            steps: [("order", ms([1]))].into(),
        };
        let mut both = part(10, 2);
        both.beside(part(30, 1));
        assert_eq!((both.rate(), both.objects, both.bytes), (20.0, 80, 4000));
        both.after(part(20, 2));
        assert_eq!((both.rate(), both.errors["refused"]), (15.0, 3));
        assert_eq!(both.steps["order"].len(), 3);
        assert_eq!(Samples::default().rate(), 0.0);
    }

    #[test]
    fn ratios_are_those_of_rounds_side_by_side() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        // both were slowed in the second round, and nothing came in the last
        assert_eq!(ratio(&[100.0, 10.0, 90.0, 0.0], &[50.0, 5.0, 30.0, 9.0]), Some(2.0));
        assert_eq!(ratio(&[1.0], &[0.0]), None);
    }
}
