//! `cargo xtask picture`: what the demo really prints, as `docs/demo.svg` and as text in README.md.
//!
//! The demo runs with its usual ports in a folder of its own, until it says that it stays up. Its
//! styles (bold, dim) become those of the picture; everything else about the picture is here.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::steps::{fresh_folder, target_folder};

/// What is typed, as the README says it.
const TYPED: &str = "cargo run --release -- demo";
/// The last line of a demo that stays up.
const LAST: &str = "Ctrl-C ends it";
/// Around the output in README.md.
const BEGIN: &str = "<!-- what `cargo xtask picture` saw -->\n";
const END: &str = "<!-- end -->";

pub(crate) fn picture(root: &Path) -> Result<(), String> {
    let output = play(root)?;
    let lines: Vec<Vec<Piece>> = output.iter().map(|line| pieces(line)).collect();
    let svg = root.join("docs/demo.svg");
    fs::write(&svg, render(&lines)).map_err(|e| format!("cannot write {}: {e}", svg.display()))?;
    let readme = root.join("README.md");
    let text = fs::read_to_string(&readme).map_err(|e| format!("cannot read README.md: {e}"))?;
    let plain: Vec<String> = lines.iter().map(|line| plain(line)).collect();
    let told = format!("```text\n$ {TYPED}\n{}\n```\n", plain.join("\n"));
    let text = between(&text, &told).ok_or("README.md has no place for the output")?;
    fs::write(&readme, text).map_err(|e| format!("cannot write README.md: {e}"))?;
    println!("docs/demo.svg and README.md show {} lines", lines.len());
    Ok(())
}

/// Builds the program, plays the demo and ends it when it stays up.
fn play(root: &Path) -> Result<Vec<String>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(root)
        .args(["build", "--release", "--package", "pacslab"])
        .status()
        .map_err(|e| format!("cannot start cargo: {e}"))?;
    if !built.success() {
        return Err("the program does not build".into());
    }
    // below the folder that it runs in, as it is for somebody who types the line
    let target = target_folder(root);
    let folder = fresh_folder(&target.join("tmp").join("picture"))?;
    let name = format!("pacslab{}", std::env::consts::EXE_SUFFIX);
    let program = fresh_folder(&folder.join("target").join("release"))?.join(&name);
    fs::copy(target.join("release").join(&name), &program)
        .map_err(|e| format!("cannot copy {name}: {e}"))?;
    let mut command = Command::new(&program);
    command.arg("demo").current_dir(&folder).env("CLICOLOR_FORCE", "1").env_remove("NO_COLOR");
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("PACSLAB__") {
            command.env_remove(variable);
        }
    }
    let mut demo = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start {}: {e}", program.display()))?;
    let mut lines = Vec::new();
    if let Some(out) = demo.stdout.take() {
        for line in BufReader::new(out).lines() {
            let line = line.map_err(|e| format!("its output: {e}"))?;
            lines.push(line);
            if lines.last().is_some_and(|line| line.contains(LAST)) {
                break;
            }
        }
    }
    let _ = demo.kill();
    let _ = demo.wait();
    match lines.last() {
        Some(line) if line.contains(LAST) => Ok(lines),
        _ => Err("the demo did not play to its end; what it said is above".into()),
    }
}

/// Text of one style.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    text: String,
    style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Bold,
    Dim,
}

/// A line of a terminal: `ESC [ 1 m` is bold, `2` dim, anything else plain again.
fn pieces(line: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut style = Style::Plain;
    for (number, part) in line.split("\u{1b}[").enumerate() {
        let text = match part.split_once('m') {
            Some((code, text)) if number > 0 => {
                style = match code {
                    "1" => Style::Bold,
                    "2" => Style::Dim,
                    _ => Style::Plain,
                };
                text
            }
            _ => part,
        };
        if !text.is_empty() {
            found.push(Piece { text: text.to_owned(), style });
        }
    }
    found
}

fn plain(line: &[Piece]) -> String {
    let text: String = line.iter().map(|piece| piece.text.as_str()).collect();
    text.trim_end().to_owned()
}

const COLUMN: f64 = 8.0;
const ROW: f64 = 19.0;
const MARGIN: f64 = 20.0;
/// Above the first row: what a window has there.
const TOP: f64 = 36.0;

/// Each piece is as wide as its columns, whatever font the reader has.
fn render(lines: &[Vec<Piece>]) -> String {
    let typed = vec![
        Piece { text: "$ ".into(), style: Style::Dim },
        Piece { text: TYPED.into(), style: Style::Bold },
    ];
    let all: Vec<&Vec<Piece>> = std::iter::once(&typed).chain(lines).collect();
    let columns = all.iter().map(|line| plain(line).chars().count()).max().unwrap_or(0);
    let width = columns as f64 * COLUMN + 2.0 * MARGIN;
    let height = TOP + all.len() as f64 * ROW + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>What pacslab demo prints: from the order to the export, step by step</title>\n\
         <style>\n\
         text {{ font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', \
         monospace; fill: #d7dde4; white-space: pre }}\n\
         .b {{ font-weight: 600; fill: #7fd0c5 }}\n\
         .d {{ fill: #8b97a5 }}\n\
         </style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#12171d\"/>\n\
         <g fill=\"#39424d\"><circle cx=\"20\" cy=\"18\" r=\"5\"/><circle cx=\"37\" cy=\"18\" \
         r=\"5\"/><circle cx=\"54\" cy=\"18\" r=\"5\"/></g>\n"
    );
    for (row, line) in all.iter().enumerate() {
        let y = TOP + (row as f64 + 0.8) * ROW;
        let mut column = 0;
        for piece in line.iter() {
            let count = piece.text.chars().count();
            let shown = piece.text.trim();
            let before = piece.text.chars().take_while(|c| *c == ' ').count();
            if !shown.is_empty() {
                let class = match piece.style {
                    Style::Plain => "",
                    Style::Bold => " class=\"b\"",
                    Style::Dim => " class=\"d\"",
                };
                let x = MARGIN + (column + before) as f64 * COLUMN;
                let length = shown.chars().count() as f64 * COLUMN;
                // writing to a string cannot fail
                let _ = writeln!(
                    svg,
                    "<text x=\"{x}\" y=\"{y:.1}\" textLength=\"{length}\" \
                     xml:space=\"preserve\"{class}>{}</text>",
                    escaped(shown)
                );
            }
            column += count;
        }
    }
    svg + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The text with what stands between the marks replaced.
fn between(text: &str, told: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{told}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_become_pieces() {
        let line = pieces("1 \u{1b}[1mC-STORE\u{1b}[0m  \u{1b}[2m2 ms\u{1b}[0m <ok>");
        assert_eq!(plain(&line), "1 C-STORE  2 ms <ok>");
        assert_eq!(line[1], Piece { text: "C-STORE".into(), style: Style::Bold });
        let svg = render(&[line]);
        assert!(svg.contains("class=\"b\">C-STORE</text>") && svg.contains("&lt;ok&gt;"), "{svg}");
    }

    #[test]
    fn the_output_goes_between_the_marks() {
        let text = format!("a\n{BEGIN}old\n{END}\nb");
        assert_eq!(between(&text, "new\n").unwrap(), format!("a\n{BEGIN}new\n{END}\nb"));
        assert!(between("nothing here", "new").is_none());
    }
}
