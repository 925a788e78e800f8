//! Persistence: index, desk, log and blobs. The only SQL in the tree.
