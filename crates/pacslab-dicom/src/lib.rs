//! DICOM data sets: bounded parsing and writing, character sets, Part 10 files, JSON.
