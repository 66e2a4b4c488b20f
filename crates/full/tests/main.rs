//! The full peer from outside: files in, every look-up out, bad blocks, reorganisations, restarts, two nodes.

mod suite;
