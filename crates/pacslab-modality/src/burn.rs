//! The mark in the picture itself: whoever sees only the pixels sees that they are synthetic.

/// Letters of 5 x 7 dots, one number a row, the leftmost dot in bit 4.
const GLYPHS: &[(char, [u8; 7])] = &[
    ('C', [0b01110, 0b10001, 0b10000, 0b10000, 0b10000, 0b10001, 0b01110]),
    ('E', [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111]),
    ('H', [0b10001, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001]),
    ('I', [0b01110, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110]),
    ('N', [0b10001, 0b11001, 0b10101, 0b10011, 0b10001, 0b10001, 0b10001]),
    ('S', [0b01111, 0b10000, 0b10000, 0b01110, 0b00001, 0b00001, 0b11110]),
    ('T', [0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100]),
    ('Y', [0b10001, 0b10001, 0b01010, 0b00100, 0b00100, 0b00100, 0b00100]),
];

pub(crate) const MARK: &str = "SYNTHETIC";

/// Writes `text` with its top left dot at `x`, `y`; what lies outside is not drawn.
pub(crate) fn text(pixels: &mut [u16], columns: usize, x: usize, y: usize, text: &str, value: u16) {
    for (at, letter) in text.chars().enumerate() {
        let Some((_, rows)) = GLYPHS.iter().find(|(known, _)| *known == letter) else { continue };
        for (down, row) in rows.iter().enumerate() {
            for right in (0..5).filter(|right| row & (0b10000 >> right) != 0) {
                let column = x + at * 6 + right;
                if let Some(pixel) = pixels.get_mut((y + down) * columns + column)
                    && column < columns
                {
                    *pixel = value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_can_be_read() {
        let mut pixels = vec![0; 16 * 9];
        text(&mut pixels, 16, 1, 1, "TI", 1);
        let picture: Vec<String> = pixels
            .chunks(16)
            .map(|row| row.iter().map(|p| if *p == 0 { '.' } else { '#' }).collect())
            .collect();
        assert_eq!(picture[1], ".#####..###.....");
        assert_eq!(picture[4], "...#.....#......");
        assert!(MARK.chars().all(|c| GLYPHS.iter().any(|(known, _)| *known == c)));
        text(&mut pixels, 16, 14, 8, MARK, 1); // over the edge
    }
}
