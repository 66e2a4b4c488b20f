//! The full peer from outside: files in, every look-up out, bad blocks, reorganisations, restarts, two nodes.

// `cfg(test)` says nothing new to the compiler; it tells clippy that helpers are tests too.
#[cfg(test)]
mod suite;
