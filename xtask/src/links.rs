//! Links of the documents lead somewhere: files that exist, headings that are there.

use std::collections::BTreeSet;

/// A document by its path from the root.
pub(crate) struct Page<'a> {
    pub(crate) path: &'a str,
    pub(crate) text: &'a str,
}

/// Relative links that lead nowhere. `paths`: all files and folders of the repository.
pub(crate) fn dead(pages: &[Page<'_>], paths: &BTreeSet<String>) -> Vec<String> {
    let mut problems = Vec::new();
    for page in pages {
        for (number, target) in links(page.text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => page.path.to_owned(),
                file => resolve(page.path, file),
            };
            let there = pages.iter().find(|page| page.path == path);
            let why = if !paths.contains(&path) && there.is_none() {
                "there is no such file"
            } else if there.is_some_and(|p| !heading.is_empty() && !has(p.text, heading)) {
                "there is no such heading"
            } else {
                continue;
            };
            problems.push(format!("{}:{number}: link to {target}: {why}", page.path));
        }
    }
    problems
}

/// Lines and targets of `[text](target)`, outside code.
fn links(text: &str) -> Vec<(usize, &str)> {
    prose(text)
        .flat_map(|(number, line)| {
            // every second piece between backticks is code
            line.split('`').step_by(2).flat_map(move |piece| {
                let targets = piece.split("](").skip(1);
                targets.filter_map(move |rest| Some((number, rest.split_once(')')?.0.trim())))
            })
        })
        .collect()
}

/// Lines outside code blocks, counted from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        (!fence && !code).then_some((index + 1, line))
    })
}

/// Whether a document has a heading with this anchor, as GitHub makes them.
fn has(text: &str, anchor: &str) -> bool {
    prose(text).any(|(_, line)| line.starts_with('#') && slug(line) == anchor)
}

fn slug(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A path relative to a document, from the root.
fn resolve(page: &str, file: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_files_and_headings() {
        let pages = [
            Page {
                path: "docs/a.md",
                text: "# A & B\n[x](../README.md) [y](b.md#two-words) `[z](no.md)`\n[w](#a--b) [v](/x)\n\
                       ```\n[code](gone.md)\n```\n[web](https://example.org)\n[p](p.svg)",
            },
            Page { path: "docs/b.md", text: "## Two words\n[up](../gone.md) [n](a.md#no)" },
            Page { path: "README.md", text: "[docs](docs/)" },
        ];
        let paths = ["docs", "docs/p.svg", "x"].map(str::to_owned).into();
        let problems = dead(&pages, &paths);
        assert_eq!(
            problems,
            [
                "docs/a.md:3: link to /x: there is no such file",
                "docs/b.md:2: link to ../gone.md: there is no such file",
                "docs/b.md:2: link to a.md#no: there is no such heading",
            ]
        );
    }
}
