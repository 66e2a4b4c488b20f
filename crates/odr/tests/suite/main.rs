//! Whole ways through odr: walks over tries that another library made, and the retriever among peers of every kind on
//! virtual time.

mod bodies;
mod common;
mod retrieval;
mod walks;
