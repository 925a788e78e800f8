//! Makes an exam and shows all its slices on one sheet, once in each window:
//! `cargo run -p pacslab-modality --example contact_sheet -- CTCHW 7 sheet.png [folder]`

use std::path::Path;
use std::time::Instant;

use pacslab_codec::{Options as Show, Picture, Window, picture};
use pacslab_modality::{Options, WorklistItem, acquire, catalogue};
use pacslab_model::{AeTitle, Moment, Seed, tags};

#[allow(clippy::print_stdout)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [code, seed, sheet, rest @ ..] = &arguments[..] else {
        return Err("give exam, seed and the file to write".into());
    };
    let exam = catalogue::exam(code).ok_or("no such exam")?;
    let at = Moment::parse("2026-01-05T08:00", 0).ok_or("no such moment")?;
    let station = AeTitle::new("PYMOD1")?;
    let seed = Seed(seed.parse()?);
    let item = WorklistItem::for_exam(exam, seed, at, &station);
    let started = Instant::now();
    let acquisition = acquire(&item, &Options::new(seed, at, station))?;
    println!("{} objects in {:?}", acquisition.instances().count(), started.elapsed());
    if let [folder] = rest {
        acquisition.write(Path::new(folder))?;
    }
    let mut pictures = Vec::new();
    // the two windows that the images recommend
    for which in 0..2 {
        for instance in acquisition.instances() {
            let value = |tag| instance.dataset.numbers(tag).get(which).copied();
            let window = value(tags::WINDOW_CENTER).zip(value(tags::WINDOW_WIDTH));
            let window = window.map(|(center, width)| Window::new(center, width));
            let show = Show { window, max_size: None };
            let syntax = &instance.meta.transfer_syntax;
            pictures.push(picture(&instance.dataset, syntax, 0, &show)?);
        }
    }
    std::fs::write(sheet, tile(&pictures, 8).png()?.0)?;
    Ok(())
}

/// Pictures of one size, side by side.
fn tile(pictures: &[Picture], across: usize) -> Picture {
    let (w, h) = pictures.first().map_or((0, 0), |p| (p.width as usize, p.height as usize));
    let down = pictures.len().div_ceil(across);
    let mut pixels = vec![0; w * across * h * down];
    for (at, picture) in pictures.iter().enumerate() {
        let (left, top) = (at % across * w, at / across * h);
        for (y, row) in picture.pixels.chunks_exact(w).enumerate() {
            let start = (top + y) * w * across + left;
            pixels[start..start + w].copy_from_slice(row);
        }
    }
    Picture { width: (w * across) as u32, height: (h * down) as u32, channels: 1, pixels }
}
