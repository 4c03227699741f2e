//! runward-tree
