//! Whole ways through odr: walks over tries that another library made, and the retriever among peers of every kind on
//! virtual time.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails here")]

mod bodies;
mod common;
mod headers;
mod retrieval;
mod walks;
