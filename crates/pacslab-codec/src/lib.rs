//! Pixels: frames, windowing, PNG.
