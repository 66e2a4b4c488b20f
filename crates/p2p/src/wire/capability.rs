//! Capabilities and which of them two nodes share.

use std::{cmp::Reverse, fmt};

use super::BASE_LENGTH;

/// The longest name of a capability, in ASCII characters.
pub const MAX_NAME_LEN: usize = 8;

/// One version of a sub-protocol, as Hello lists it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Capability {
    /// ASCII, case-sensitive.
    pub name: String,
    /// Any number.
    pub version: u64,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}

/// A capability that we offer, and how many message ids it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its name and version.
    pub capability: Capability,
    /// Its number of message ids.
    pub length: u64,
}

/// A capability that both sides speak, with its place in the connection's message ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    /// Which of ours, as an index.
    pub index: usize,
    /// Its first message id on this connection.
    pub offset: u64,
    /// Its number of message ids.
    pub length: u64,
}

/// What both sides speak: of each name the highest version, in alphabetical order, ids without gaps from
/// [`BASE_LENGTH`] on.
pub fn share(ours: &[Offered], theirs: &[Capability]) -> Vec<Shared> {
    let mut common: Vec<usize> = (0..ours.len()).filter(|&index| theirs.contains(&ours[index].capability)).collect();
    common.sort_by_key(|&index| (&ours[index].capability.name, Reverse(ours[index].capability.version)));
    common.dedup_by_key(|index| &ours[*index].capability.name);
    let mut offset = BASE_LENGTH;
    common
        .into_iter()
        .map(|index| {
            let shared = Shared { index, offset, length: ours[index].length };
            offset = offset.saturating_add(shared.length);
            shared
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capability(name: &str, version: u64) -> Capability {
        Capability { name: name.to_owned(), version }
    }

    fn offered(name: &str, version: u64, length: u64) -> Offered {
        Offered { capability: capability(name, version), length }
    }

    #[test]
    fn the_highest_shared_version_in_alphabetical_order() {
        let ours = [
            offered("snap", 1, 8),
            offered("eth", 28, 18),
            offered("eth", 68, 17),
            offered("eth", 66, 17),
            offered("les", 4, 23),
        ];
        let theirs = [
            capability("eth", 66),
            capability("snap", 1),
            capability("eth", 28),
            capability("eth", 69),
            capability("LES", 4),
        ];
        let shared = share(&ours, &theirs);
        assert_eq!(shared, [Shared { index: 3, offset: 16, length: 17 }, Shared { index: 0, offset: 33, length: 8 }]);
    }

    #[test]
    fn nothing_in_common() {
        assert!(share(&[offered("eth", 28, 18)], &[capability("eth", 68), capability("Eth", 28)]).is_empty());
        assert!(share(&[], &[capability("eth", 68)]).is_empty());
    }

    #[test]
    fn capital_letters_come_first_and_twice_offered_is_once_shared() {
        let ours = [offered("a", 1, 2), offered("B", 1, 3)];
        let theirs = [capability("a", 1), capability("a", 1), capability("B", 1)];
        assert_eq!(
            share(&ours, &theirs),
            [Shared { index: 1, offset: 16, length: 3 }, Shared { index: 0, offset: 19, length: 2 }]
        );
    }
}
