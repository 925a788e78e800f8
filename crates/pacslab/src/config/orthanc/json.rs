//! JSON as Orthanc writes it: with comments, and `${NAME}` for variables of the environment.

/// The text without comments and with variables put in; lines stay where they are.
///
/// # Errors
/// `LINE: …` of a comment without end or a variable that is not there.
pub(super) fn plain(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<String, String> {
    substituted(&without_comments(text)?, variable)
}

fn without_comments(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.trim_start_matches('\u{feff}');
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let end = end_of_string(rest);
            plain.push_str(&rest[..end]);
            rest = &rest[end..];
        } else if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            let Some(end) = rest.find("*/") else {
                return Err(format!("{}: a comment /* has no end", line_of(&plain, plain.len())));
            };
            plain.extend(rest[..end].chars().filter(|c| *c == '\n'));
            rest = &rest[end + 2..];
        } else {
            plain.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(plain)
}

/// Past the closing quote of the string that begins here.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `${NAME}` and `${NAME:-what if there is none}`.
fn substituted(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let inner = &rest[at + 2..];
        let Some(end) = inner.find('}') else { break };
        plain.push_str(&rest[..at]);
        let (name, otherwise) = match inner[..end].split_once(":-") {
            Some((name, otherwise)) => (name, Some(otherwise.trim_matches('\'').to_owned())),
            None => (&inner[..end], None),
        };
        let Some(value) = variable(name).or(otherwise) else {
            return Err(format!(
                "{}: the variable {name} is not set; set it or write ${{{name}:-DEFAULT}}",
                line_of(&plain, plain.len())
            ));
        };
        plain.push_str(&value);
        rest = &inner[end + 1..];
    }
    plain.push_str(rest);
    Ok(plain)
}

pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

/// `DICOM_AET` → `DicomAet`
pub(super) fn capitalised(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(letters.map(|c| c.to_ascii_lowercase())).collect::<String>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        plain(text, &|name| (name == "HOME").then(|| "/here".to_owned()))
    }

    #[test]
    fn comments_go_and_lines_stay() {
        let text = "{ // one\n/* two\n three */ \"a\": \"http://x/*y*/\", \"b\\\"//\": 1 }";
        assert_eq!(read(text).unwrap(), "{ \n\n \"a\": \"http://x/*y*/\", \"b\\\"//\": 1 }");
        assert_eq!(read("{}\n/* ").unwrap_err(), "2: a comment /* has no end");
    }

    #[test]
    fn variables_are_put_in() {
        assert_eq!(read("\"${HOME}/x ${NO:-y}\"").unwrap(), "\"/here/x y\"");
        assert!(read("\n\"${NO}\"").unwrap_err().starts_with("2: the variable NO is not set"));
        assert_eq!(read("// ${NO}").unwrap(), "");
        assert_eq!(read("\"${\"").unwrap(), "\"${\"");
    }

    #[test]
    fn words_are_capitalised() {
        assert_eq!(capitalised("DICOM_ALWAYS_ALLOW_FIND"), "DicomAlwaysAllowFind");
        assert_eq!(capitalised("HTTP_PORT"), "HttpPort");
    }
}
