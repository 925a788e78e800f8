//! What of an item is answered. PS3.4 C.2.2.1.2 and K.4.1.1.3.2: the keys that were asked.

use pacslab_dicom::{Dataset, Element, Value, charset, dict};
use pacslab_model::{Vr, tags};

use super::item::{Item, is_ascii};

/// The identifier of one response: the attributes asked for, empty where the item has none.
pub fn answer(item: &Item, identifier: &Dataset) -> Dataset {
    let mut answer = reduce(&item.dataset, identifier);
    if !is_ascii(&answer) {
        let own = item.dataset.str(tags::SPECIFIC_CHARACTER_SET);
        let declared =
            if charset::Charset::is_known(own) && !own.is_empty() { own } else { charset::UTF8 };
        answer.put_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, declared);
    }
    answer
}

fn reduce(set: &Dataset, asked: &Dataset) -> Dataset {
    asked
        .iter()
        .filter(|key| !key.tag.is_group_length() && key.tag != tags::SPECIFIC_CHARACTER_SET)
        .filter_map(|key| one(set, key))
        .collect()
}

fn one(set: &Dataset, key: &Element) -> Option<Element> {
    let Some(found) = set.get(key.tag) else {
        // told by neither side: nothing to say about the zone of the times
        return (key.tag != tags::TIMEZONE_OFFSET_FROM_UTC).then(|| empty(key));
    };
    let (Value::Items(items), Value::Items(wanted)) = (&found.value, &key.value) else {
        return Some(found.clone());
    };
    // asked with no item, or with an empty one: all of it
    let Some(keys) = wanted.first().filter(|keys| !keys.is_empty()) else {
        return Some(found.clone());
    };
    let items = items.iter().map(|item| reduce(item, keys)).collect();
    Some(Element { tag: key.tag, vr: Vr::SQ, value: Value::Items(items) })
}

fn empty(key: &Element) -> Element {
    let vr = if key.vr == Vr::UN { dict::vr(key.tag).unwrap_or(Vr::UN) } else { key.vr };
    let value = match vr {
        Vr::SQ => Value::Items(Vec::new()),
        vr if vr.is_text() => Value::Text(String::new()),
        _ => Value::Bytes(Vec::new()),
    };
    Element { tag: key.tag, vr, value }
}
