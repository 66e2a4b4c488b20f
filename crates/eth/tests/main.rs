//! Sessions joined without a network, on virtual time.

mod suite;
