//! A data set as a tree. PS3.5 7.
//!
//! Text is held decoded; other values as little-endian bytes, whatever the transfer syntax was.

use std::borrow::Cow;

use pacslab_model::matching::Attributes;
use pacslab_model::{Tag, Vr, tags};

/// Elements ordered by tag, each tag once.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Dataset {
    elements: Vec<Element>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Element {
    pub tag: Tag,
    pub vr: Vr,
    pub value: Value,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Decoded, without trailing padding; several values separated by backslash.
    Text(String),
    /// Little endian.
    Bytes(Vec<u8>),
    Items(Vec<Dataset>),
    /// Encapsulated pixel data: the basic offset table, then the fragments.
    Fragments(Vec<Vec<u8>>),
}

impl Dataset {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Elements and items, those of items included.
    pub fn parts(&self) -> usize {
        let inside = |element: &Element| match &element.value {
            Value::Items(items) => items.iter().map(|item| 1 + item.parts()).sum(),
            _ => 0,
        };
        self.elements.iter().map(|element| 1 + inside(element)).sum()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Element> {
        self.elements.iter()
    }

    pub fn get(&self, tag: Tag) -> Option<&Element> {
        self.position(tag).ok().map(|at| &self.elements[at])
    }

    pub fn contains(&self, tag: Tag) -> bool {
        self.position(tag).is_ok()
    }

    pub fn remove(&mut self, tag: Tag) -> Option<Element> {
        self.position(tag).ok().map(|at| self.elements.remove(at))
    }

    /// Replaces what is there.
    pub fn put(&mut self, element: Element) {
        match self.position(element.tag) {
            Ok(at) => self.elements[at] = element,
            Err(at) => self.elements.insert(at, element),
        }
    }

    /// The text of an element of a text VR, without padding. `None`: absent or no text.
    pub fn text(&self, tag: Tag) -> Option<&str> {
        match self.get(tag)? {
            Element { vr, value: Value::Text(text), .. } => {
                Some(if vr.is_single_text() { text } else { text.trim_start() })
            }
            _ => None,
        }
    }

    /// The text, or nothing.
    pub fn str(&self, tag: Tag) -> &str {
        self.text(tag).unwrap_or("")
    }

    /// The value as text, binary numbers printed in decimal and tags in hexadecimal.
    pub fn text_of(&self, tag: Tag) -> Option<Cow<'_, str>> {
        self.get(tag).and_then(Element::to_text)
    }

    /// The first value of a US element.
    pub fn u16(&self, tag: Tag) -> Option<u16> {
        match &self.get(tag)?.value {
            Value::Bytes(bytes) => bytes.first_chunk().map(|b| u16::from_le_bytes(*b)),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The first value as a number: DS, IS and the binary number VRs.
    pub fn number(&self, tag: Tag) -> Option<f64> {
        self.numbers(tag).first().copied()
    }

    /// All values as numbers; those that are none are left out.
    pub fn numbers(&self, tag: Tag) -> Vec<f64> {
        let Some(text) = self.text_of(tag) else { return Vec::new() };
        text.split('\\').filter_map(|value| value.trim().parse().ok()).collect()
    }

    /// The items of a sequence; none when it is absent.
    pub fn items(&self, tag: Tag) -> &[Self] {
        match self.get(tag).map(|element| &element.value) {
            Some(Value::Items(items)) => items,
            _ => &[],
        }
    }

    pub fn items_mut(&mut self, tag: Tag) -> Option<&mut Vec<Self>> {
        let at = self.position(tag).ok()?;
        match &mut self.elements[at].value {
            Value::Items(items) => Some(items),
            _ => None,
        }
    }

    pub fn put_str(&mut self, tag: Tag, vr: Vr, text: impl Into<String>) {
        let mut text: String = text.into();
        text.truncate(text.trim_end_matches(['\0', ' ']).len());
        self.put(Element { tag, vr, value: Value::Text(text) });
    }

    pub fn put_u16(&mut self, tag: Tag, value: u16) {
        self.put_bytes(tag, Vr::US, value.to_le_bytes().to_vec());
    }

    /// Bytes are little endian and of even length after padding on encoding.
    pub fn put_bytes(&mut self, tag: Tag, vr: Vr, bytes: Vec<u8>) {
        self.put(Element { tag, vr, value: Value::Bytes(bytes) });
    }

    pub fn put_items(&mut self, tag: Tag, items: Vec<Self>) {
        self.put(Element { tag, vr: Vr::SQ, value: Value::Items(items) });
    }

    #[must_use]
    pub fn with_str(mut self, tag: Tag, vr: Vr, text: impl Into<String>) -> Self {
        self.put_str(tag, vr, text);
        self
    }

    #[must_use]
    pub fn with_items(mut self, tag: Tag, items: Vec<Self>) -> Self {
        self.put_items(tag, items);
        self
    }

    fn position(&self, tag: Tag) -> Result<usize, usize> {
        // data sets are built and read in order: the end is the common place
        match self.elements.last() {
            Some(last) if last.tag < tag => Err(self.elements.len()),
            None => Err(0),
            _ => self.elements.binary_search_by_key(&tag, |element| element.tag),
        }
    }
}

impl Element {
    /// The value as text: see [`Dataset::text_of`].
    pub fn to_text(&self) -> Option<Cow<'_, str>> {
        fn join<const N: usize, T: ToString>(bytes: &[u8], read: fn([u8; N]) -> T) -> String {
            let values: Vec<String> =
                bytes.as_chunks::<N>().0.iter().map(|chunk| read(*chunk).to_string()).collect();
            values.join("\\")
        }
        match &self.value {
            Value::Text(text) if self.vr.is_single_text() => Some(Cow::Borrowed(text)),
            Value::Text(text) => Some(Cow::Borrowed(text.trim_start())),
            Value::Bytes(bytes) => Some(Cow::Owned(match self.vr {
                Vr::US => join(bytes, u16::from_le_bytes),
                Vr::SS => join(bytes, i16::from_le_bytes),
                Vr::UL => join(bytes, u32::from_le_bytes),
                Vr::SL => join(bytes, i32::from_le_bytes),
                Vr::UV => join(bytes, u64::from_le_bytes),
                Vr::SV => join(bytes, i64::from_le_bytes),
                Vr::FL => join(bytes, f32::from_le_bytes),
                Vr::FD => join(bytes, f64::from_le_bytes),
                Vr::AT => join(bytes, |b: [u8; 4]| {
                    let [g0, g1, e0, e1] = b;
                    Tag::new(u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1])).to_string()
                }),
                _ => return None,
            })),
            _ => None,
        }
    }

    pub fn is_empty(&self) -> bool {
        match &self.value {
            Value::Text(text) => text.trim().is_empty(),
            Value::Bytes(bytes) => bytes.is_empty(),
            Value::Items(items) => items.is_empty(),
            Value::Fragments(_) => false,
        }
    }
}

impl Attributes for Dataset {
    fn text(&self, tag: Tag) -> Option<Cow<'_, str>> {
        self.text_of(tag)
    }

    fn items(&self, tag: Tag) -> Option<Vec<&dyn Attributes>> {
        match &self.get(tag)?.value {
            Value::Items(items) => Some(items.iter().map(|item| item as &dyn Attributes).collect()),
            _ => None,
        }
    }
}

impl<'a> IntoIterator for &'a Dataset {
    type Item = &'a Element;
    type IntoIter = std::slice::Iter<'a, Element>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<Element> for Dataset {
    fn from_iter<T: IntoIterator<Item = Element>>(elements: T) -> Self {
        let mut dataset = Self::new();
        for element in elements {
            dataset.put(element);
        }
        dataset
    }
}

/// The keys of a query, as they stand in an identifier. PS3.4 C.2.2.1.
///
/// # Errors
/// A value that its VR forbids, e.g. a date that is none.
pub fn query_keys(
    identifier: &Dataset,
) -> Result<Vec<pacslab_model::Key>, pacslab_model::query::BadKey> {
    identifier
        .iter()
        .filter(|element| {
            !element.tag.is_group_length()
                && !matches!(
                    element.tag,
                    tags::SPECIFIC_CHARACTER_SET
                        | tags::QUERY_RETRIEVE_LEVEL
                        | tags::TIMEZONE_OFFSET_FROM_UTC
                        | tags::RETRIEVE_AE_TITLE
                )
        })
        .map(|element| match &element.value {
            Value::Items(items) => Ok(pacslab_model::Key::items(
                element.tag,
                items.first().map_or(Ok(Vec::new()), query_keys)?,
            )),
            _ => {
                let text = element.to_text().unwrap_or_default();
                pacslab_model::Key::parse(element.tag, element.vr, &text)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stay_in_order_and_once() {
        let mut set = Dataset::new();
        set.put_str(tags::PATIENT_ID, Vr::LO, "P1 ");
        set.put_str(tags::STUDY_DATE, Vr::DA, "20260105");
        set.put_str(tags::PATIENT_ID, Vr::LO, "P2");
        set.put_u16(tags::ROWS, 64);
        assert_eq!(set.len(), 3);
        assert!(set.iter().is_sorted_by_key(|e| e.tag));
        assert_eq!((set.str(tags::PATIENT_ID), set.u16(tags::ROWS)), ("P2", Some(64)));
        assert_eq!(set.text_of(tags::ROWS).unwrap(), "64");
        assert!(set.remove(tags::ROWS).is_some() && !set.contains(tags::ROWS));
    }

    #[test]
    fn identifiers_become_keys() {
        let set = Dataset::new()
            .with_str(tags::PATIENT_NAME, Vr::PN, "DOE*")
            .with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "STUDY")
            .with_items(
                tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE,
                vec![Dataset::new().with_str(tags::MODALITY, Vr::CS, "CT")],
            );
        let keys = query_keys(&set).unwrap();
        assert_eq!(keys.len(), 2);
        assert!(matches!(&keys[1].test, pacslab_model::Test::Items(inner) if inner.len() == 1));
    }
}
