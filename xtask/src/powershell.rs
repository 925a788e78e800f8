//! PowerShell in the documents: what Windows' own one (5.1) does not take, or takes otherwise
//! than it was meant. Whoever writes the lines has bash in mind, and mostly no Windows at hand.
//!
//! It is no parser: it knows the slips that are made, a line at a time.

/// Numbers of lines in blocks marked `powershell`, and what is wrong with them.
pub(crate) fn slips(text: &str) -> Vec<(usize, &'static str)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(language) = line.strip_prefix("```") {
            inside = language == "powershell";
        } else if inside {
            found.extend(line_slips(line).map(|why| (index + 1, why)));
        }
    }
    found
}

fn line_slips(line: &str) -> impl Iterator<Item = &'static str> {
    let Split { bare, quoted } = split(line);
    let words: Vec<&str> = bare.split_whitespace().collect();
    let first = words.first().copied().unwrap_or_default();
    // of PowerShell itself: text, a variable, Verb-Noun
    let own = first.starts_with(['"', '\'', '$']) || first.contains('-');
    let splats = |word: &&str| word.starts_with('@') && !word.starts_with("@{");
    let variable = |(name, _): (&str, &str)| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_uppercase() || b"_0123456789".contains(&b))
    };
    [
        (bare.contains("&&") || bare.contains("||"), "5.1 has no && and ||: a line each"),
        (line.ends_with('\\'), "a line goes on with a backtick"),
        (words.contains(&"curl") || words.contains(&"wget"), "that is Invoke-WebRequest: curl.exe"),
        (
            first == "export" || first.split_once('=').is_some_and(variable),
            "a variable is set with $env:NAME = 'value'",
        ),
        (words.iter().any(splats), "@ begins a variable there: put quotes around it"),
        (bare.contains('<') || bare.contains("/dev/null"), "there is no < and no /dev/null"),
        (
            !own && quoted.iter().any(|text| text.contains('"')),
            "5.1 takes the quotes out of what it hands to programs: give it through a pipe",
        ),
    ]
    .into_iter()
    .filter_map(|(wrong, why)| wrong.then_some(why))
}

/// A line without comment; what stands in quotes apart, only the quotes are left of it.
struct Split {
    bare: String,
    quoted: Vec<String>,
}

fn split(line: &str) -> Split {
    let mut split = Split { bare: String::new(), quoted: Vec::new() };
    let mut open: Option<(char, String)> = None;
    for c in line.chars() {
        match &mut open {
            Some((quote, text)) if c == *quote => {
                split.bare.push(c);
                split.quoted.push(std::mem::take(text));
                open = None;
            }
            Some((_, text)) => text.push(c),
            None if c == '#' && (split.bare.is_empty() || split.bare.ends_with(' ')) => break,
            None => {
                split.bare.push(c);
                open = ['\'', '"'].contains(&c).then(|| (c, String::new()));
            }
        }
    }
    split
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_for_bash_is_found() {
        for bad in [
            "cd data && pacslab serve",
            r"pacslab serve \",
            "curl -u orthanc http://127.0.0.1:8042/system",
            "export PACSLAB__HTTP__PORT=1",
            "PACSLAB__HTTP__PORT=1 pacslab serve",
            "curl.exe --data-binary @image.dcm http://127.0.0.1:8042/instances",
            "curl.exe -d '{\"Level\":\"Study\"}' http://127.0.0.1:8042/tools/find",
            "pacslab hl7 send < order.hl7",
        ] {
            let text = format!("# Title\n\n```powershell\n{bad}\n```\n");
            let found = slips(&text);
            assert_eq!(found.len(), 1, "{bad}: {found:?}");
            assert_eq!(found[0].0, 4);
            assert!(slips(&text.replace("powershell", "bash")).is_empty());
        }
    }

    #[test]
    fn what_is_right_is_left_alone() {
        for good in [
            "# curl && curl, said in a comment",
            "$env:ORTHANC_DICOM_PORT = 4242; $env:ORTHANC_HTTP_PORT = 8042",
            "curl.exe \"http://127.0.0.1:8042/pacslab/events?accession=A&follow=true\"",
            "'[\"PYNETSCP\", \"127.0.0.1\", 11112]' |",
            "Invoke-RestMethod -Method Post http://127.0.0.1:8042/x -Body '{\"a\":1}'",
            "$login = @{ Authorization = \"Basic x\" }",
            "docker run --rm -e PACSLAB__HTTP__PASSWORD=choose-one `",
        ] {
            let found = slips(&format!("```powershell\n{good}\n```\n"));
            assert!(found.is_empty(), "{good}: {found:?}");
        }
    }
}
