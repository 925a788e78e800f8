//! The simulated scanner: worklist item to images, and the sequence it plays.
