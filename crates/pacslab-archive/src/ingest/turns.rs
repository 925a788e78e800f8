//! Who is in the next batch when more waits than one should hold: each sender has its turn.

use std::collections::HashMap;

/// So many bytes a batch: who sends little does not wait long for what others send.
const BATCH_BYTES: u64 = 16 << 20;

/// Which of these are in the next batch: senders and bytes, in the order in which they came.
pub(super) fn in_turns(all: &[(&str, u64)]) -> Vec<bool> {
    let mut chosen = vec![true; all.len()];
    if all.iter().map(|(_, bytes)| bytes).sum::<u64>() <= BATCH_BYTES {
        return chosen;
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut order: Vec<(usize, usize)> = Vec::with_capacity(all.len());
    for (at, (sender, _)) in all.iter().enumerate() {
        let count = counts.entry(sender).or_default();
        order.push((*count, at));
        *count += 1;
    }
    order.sort_unstable();
    let mut left = BATCH_BYTES;
    let mut full = false;
    for (taken, (_, at)) in order.into_iter().enumerate() {
        // the first in any case, and nothing after one that does not fit
        full |= taken > 0 && all[at].1 > left;
        left = left.saturating_sub(all[at].1);
        chosen[at] = !full;
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_at_once_goes_in_turns() {
        const MIB: u64 = 1 << 20;
        let greedy = std::iter::repeat_n(("greedy", MIB), 30);
        let mut all: Vec<_> = greedy.collect();
        all.extend([("second", MIB), ("second", MIB), ("small", 8_000)]);
        let chosen = in_turns(&all);
        assert!(chosen[30..].iter().all(|chosen| *chosen), "{chosen:?}");
        assert_eq!(chosen[..30].iter().position(|chosen| !chosen), Some(13));
        assert!(chosen[13..30].iter().all(|chosen| !chosen), "in the order in which they came");
        assert_eq!(in_turns(&all[28..]), [true; 5]);
        assert_eq!(in_turns(&[("one", BATCH_BYTES + 1), ("two", 1)]), [true, false]);
    }
}
