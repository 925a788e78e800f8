//! Which known word somebody most likely meant.

/// The known word with the fewest edits from `word`, if they are few.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let limit = (word.chars().count() / 3).max(2);
    known
        .into_iter()
        // the right key in the wrong section is near as well
        .map(|key| (if last(key) == last(word) { 1 } else { distance(word, key) }, key))
        .filter(|(edits, _)| *edits <= limit)
        .min()
        .map(|(_, key)| key)
}

/// Levenshtein's distance with swaps of neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_their_word() {
        let known = ["dicom.port", "dicom.aet", "http.password", "storage.dir"];
        let cases = [
            ("dicom.prot", Some("dicom.port")),
            ("dicom.aetitle", None),
            ("http.pasword", Some("http.password")),
            ("storage.password", Some("http.password")),
            ("nonsense", None),
        ];
        for (word, expected) in cases {
            if word == "dicom.aetitle" {
                assert_eq!(nearest(word, known), Some("dicom.aet"));
            } else {
                assert_eq!(nearest(word, known), expected, "{word}");
            }
        }
    }
}
