//! Whose keys: key files as go-ethereum keeps them, and what they sign.
