//! Files in the worklist folder.

use pacslab_dicom::{TransferSyntax, encode, parse, query_keys};
use pacslab_model::matching::{self, Rules};
use pacslab_ris::worklist::{answer, items};

/// Files in the folder are small.
const LIMIT: usize = 1 << 20;

/// The bytes of a `.wl` file.
pub(crate) fn file(data: &[u8]) {
    let items = match items(data, LIMIT) {
        Ok(items) => items,
        Err(error) => return assert!(!error.is_empty()),
    };
    assert!((1..=100).contains(&items.len()), "{} items", items.len());
    for item in items.iter().take(4) {
        let _ = item.entry();
        // asked for with all that it has: answered so that it can be sent
        let answered = answer(item, &item.dataset);
        let syntax = TransferSyntax::ImplicitLe;
        let bytes = encode(&answered, &syntax);
        let read = parse(&bytes, &syntax).err();
        assert_eq!(read, None, "an answer that nobody can read: {answered:?}");
        let asked = answered.iter().map(|element| element.tag);
        assert!(
            asked.clone().all(|tag| item.dataset.contains(tag)
                || tag == pacslab_model::tags::SPECIFIC_CHARACTER_SET)
        );
        if let Ok(keys) = query_keys(&item.dataset) {
            let _ = matching::matches(&keys, item, &Rules::WORKLIST);
        }
    }
}
