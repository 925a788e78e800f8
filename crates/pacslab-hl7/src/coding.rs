//! How a message is written: its delimiters, its character set and its escapes.
//! HL7 v2.5.1 chapter 2.5.4 (delimiters) and 2.7 (escape sequences).

use std::borrow::Cow;

use crate::charset::Charset;

/// MSH-1 and MSH-2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delimiters {
    pub field: char,
    pub component: char,
    pub repetition: char,
    /// Absent when MSH-2 is cut short: then nothing is an escape.
    pub escape: Option<char>,
    pub subcomponent: Option<char>,
    /// The fifth character of 2.7 and later.
    pub truncation: Option<char>,
}

impl Default for Delimiters {
    fn default() -> Self {
        Self {
            field: '|',
            component: '^',
            repetition: '~',
            escape: Some('\\'),
            subcomponent: Some('&'),
            truncation: None,
        }
    }
}

impl Delimiters {
    /// From MSH-1 and the text of MSH-2. `None` when a delimiter is missing, doubled, a letter,
    /// a digit or not ASCII.
    pub fn new(field: char, encoding: &str) -> Option<Self> {
        let mut seen = String::from(field);
        for c in encoding.chars() {
            if seen.contains(c) {
                return None;
            }
            seen.push(c);
        }
        let usable = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !c.is_ascii_control();
        if seen.len() > 6 || !seen.chars().all(usable) {
            return None;
        }
        let mut rest = encoding.chars();
        Some(Self {
            field,
            component: rest.next()?,
            repetition: rest.next().or_else(|| (!seen.contains('~')).then_some('~'))?,
            escape: rest.next(),
            subcomponent: rest.next(),
            truncation: rest.next(),
        })
    }

    /// The text of MSH-2.
    pub fn encoding(&self) -> String {
        let rest = [self.escape, self.subcomponent, self.truncation];
        [self.component, self.repetition].into_iter().chain(rest.into_iter().flatten()).collect()
    }
}

/// Delimiters and character set of one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Coding {
    pub delimiters: Delimiters,
    pub charset: Charset,
}

impl Coding {
    pub fn new(charset: Charset) -> Self {
        Self { delimiters: Delimiters::default(), charset }
    }

    /// Writes a value so that nothing in it is taken for a delimiter. A line feed becomes `\.br\`.
    pub fn escape(&self, text: &str) -> String {
        let d = &self.delimiters;
        let Some(escape) = d.escape else {
            return text.replace(['\r', '\n', d.field, d.component, d.repetition], " ");
        };
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            let code = match c {
                '\n' => ".br",
                '\r' => "X0D",
                c if c == d.field => "F",
                c if c == d.component => "S",
                c if c == d.repetition => "R",
                c if Some(c) == d.subcomponent => "T",
                c if c == escape => "E",
                c => {
                    out.push(c);
                    continue;
                }
            };
            out.push(escape);
            out.push_str(code);
            out.push(escape);
        }
        out
    }

    /// Reads a value: `\F\ \S\ \T\ \R\ \E\` and `\X..\` become what they stand for, `\.br\` a
    /// line feed, highlighting is dropped. What is not known stays as it came.
    pub fn unescape<'a>(&self, raw: &'a str) -> Cow<'a, str> {
        let d = &self.delimiters;
        let Some(escape) = d.escape.filter(|escape| raw.contains(*escape)) else {
            return Cow::Borrowed(raw);
        };
        let mut out = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(at) = rest.find(escape) {
            out.push_str(&rest[..at]);
            let after = &rest[at + escape.len_utf8()..];
            let Some((code, tail)) = after.split_once(escape) else {
                rest = &rest[at..];
                break;
            };
            let known = match code {
                "F" => Some(String::from(d.field)),
                "S" => Some(String::from(d.component)),
                "R" => Some(String::from(d.repetition)),
                "T" => d.subcomponent.map(String::from),
                "E" => Some(String::from(escape)),
                "P" => d.truncation.map(String::from),
                "H" | "N" => Some(String::new()),
                ".br" | ".sp" | ".ce" => Some("\n".to_owned()),
                ".fi" | ".nf" => Some(String::new()),
                code => match code.strip_prefix('X') {
                    Some(digits) => hex(digits).map(|bytes| self.charset.decode(&bytes).0),
                    None => layout(code),
                },
            };
            match known {
                Some(text) => {
                    out.push_str(&text);
                    rest = tail;
                }
                // `C:\DIR\FILE`: the second escape character may begin the next escape
                None => {
                    out.push(escape);
                    out.push_str(code);
                    rest = &after[code.len()..];
                    if !starts_escape(tail, escape) {
                        out.push(escape);
                        rest = tail;
                    }
                }
            }
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    /// A field of several components, each escaped; trailing empty ones are left out.
    pub fn components(&self, parts: &[&str]) -> String {
        self.join(self.delimiters.component, parts)
    }

    /// A component of several subcomponents, each escaped; trailing empty ones are left out.
    pub fn subcomponents(&self, parts: &[&str]) -> String {
        self.join(self.delimiters.subcomponent.unwrap_or('&'), parts)
    }

    fn join(&self, separator: char, parts: &[&str]) -> String {
        let last = parts.iter().rposition(|part| !part.is_empty()).map_or(0, |at| at + 1);
        let parts: Vec<String> = parts[..last].iter().map(|part| self.escape(part)).collect();
        parts.join(separator.encode_utf8(&mut [0; 4]))
    }
}

/// Whether what follows an unknown escape is itself a known one, as in `\DIR\T\`.
fn starts_escape(tail: &str, escape: char) -> bool {
    tail.split_once(escape).is_some_and(|(code, _)| {
        matches!(code, "F" | "S" | "R" | "T" | "E" | "P" | "H" | "N" | ".br")
            || code.strip_prefix('X').and_then(hex).is_some()
    })
}

/// FT's `.sp+2`, `.sk 4`, `.in+4`, `.ti-2`: lines, spaces, and indents that have no place in a text.
fn layout(code: &str) -> Option<String> {
    let (command, number) = code.split_at_checked(3)?;
    let number = number.trim_start_matches(['+', ' ']);
    let count = || number.parse::<usize>().ok().filter(|count| (1..=20).contains(count));
    match command {
        ".sp" => count().map(|count| "\n".repeat(count)),
        ".sk" => count().map(|count| " ".repeat(count)),
        ".in" | ".ti" => number.trim_start_matches('-').parse::<u8>().ok().map(|_| String::new()),
        _ => None,
    }
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn coding() -> Coding {
        Coding::new(Charset::UTF_8)
    }

    #[test]
    fn escapes_are_read() {
        for (raw, text) in [
            (r"a\F\b\S\c\T\d\R\e\E\f", r"a|b^c&d~e\f"),
            (r"line one\.br\line two", "line one\nline two"),
            (r"\H\loud\N\ quiet", "loud quiet"),
            (r"\.in+4\one\.sp\two\.sp+2\three\.sk 2\four\.nf\", "one\ntwo\n\nthree  four"),
            (r"\.infection\ and \.sp+9999\", r"\.infection\ and \.sp+9999\"),
            (r"\X0D0A\", "\r\n"),
            (r"\XC3BC\ber", "über"),
            (r"\Zlocal\ and \X1\", r"\Zlocal\ and \X1\"),
            (r"C:\DIR\FILE", r"C:\DIR\FILE"),
            (r"x\DIR\T\y", r"x\DIR&y"),
            (r"open \F", r"open \F"),
            (r"\", r"\"),
        ] {
            assert_eq!(coding().unescape(raw), text, "{raw}");
        }
    }

    #[test]
    fn delimiters_are_those_of_the_message() {
        let odd = Delimiters::new('!', "@%$*#").unwrap();
        assert_eq!((odd.component, odd.truncation), ('@', Some('#')));
        assert_eq!(odd.encoding(), "@%$*#");
        let coding = Coding { delimiters: odd, ..coding() };
        assert_eq!(coding.escape("a!b|c"), "a$F$b|c");
        for bad in ["", "^^", "|~", "A~", "^~\\&#?", "^ü"] {
            assert_eq!(Delimiters::new('|', bad), None, "{bad}");
        }
        assert_eq!(Delimiters::new('|', "^").unwrap().escape, None);
    }

    proptest! {
        #[test]
        fn what_is_escaped_reads_back(text in any::<String>()) {
            let escaped = coding().escape(&text);
            prop_assert_eq!(coding().unescape(&escaped), text);
        }

        #[test]
        fn any_raw_text_can_be_read(raw in r"[\\XFSTREHN.br0-9a-f|^]{0,40}") {
            coding().unescape(&raw);
        }
    }
}
