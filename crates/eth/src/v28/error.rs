/// Why bytes are no message of version 28. Every one is a breach of protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No message has this id.
    #[error("message id {id:#04x} is unassigned")]
    UnknownId {
        /// Relative to the capability's offset.
        id: u64,
    },
    /// The message is larger than any may be.
    #[error("message of {got} bytes, the limit is {limit}")]
    TooLarge {
        /// Most bytes.
        limit: usize,
        /// Bytes that came.
        got: usize,
    },
    /// A list has more items than twice its limit.
    #[error("more than {limit} items in the list of {what}")]
    TooMany {
        /// What the list holds.
        what: &'static str,
        /// Most items that are borne with.
        limit: usize,
    },
    /// A list that must hold something is empty.
    #[error("the list of {what} is empty")]
    Empty {
        /// What the list should hold.
        what: &'static str,
    },
    /// The bytes are not RLP in its shortest form.
    #[error("malformed RLP: {0}")]
    Rlp(#[from] rlp::DecoderError),
    /// Bytes follow the payload's list.
    #[error("{bytes} bytes after the message")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A string stands where a list must.
    #[error("{what}: expected a list, got a string")]
    ExpectedList {
        /// The field.
        what: &'static str,
    },
    /// A list stands where a string must.
    #[error("{what}: expected a string, got a list")]
    ExpectedString {
        /// The field.
        what: &'static str,
    },
    /// A list of fixed shape has another number of fields.
    #[error("{what}: expected {expected} fields, got {got}")]
    Fields {
        /// The list.
        what: &'static str,
        /// Fields it must have.
        expected: usize,
        /// Fields it has.
        got: usize,
    },
    /// A string of fixed length has another.
    #[error("{what}: expected {expected} bytes, got {got}")]
    Length {
        /// The field.
        what: &'static str,
        /// Bytes it must have.
        expected: usize,
        /// Bytes it has.
        got: usize,
    },
    /// An item is shorter than any of its kind can be.
    #[error("{what}: {got} bytes, none has fewer than {least}")]
    TooShort {
        /// The item.
        what: &'static str,
        /// Fewest bytes that one can have.
        least: usize,
        /// Bytes it has.
        got: usize,
    },
    /// An integer has a leading zero byte.
    #[error("{what}: integer with a leading zero")]
    LeadingZero {
        /// The field.
        what: &'static str,
    },
    /// An integer is larger than its field can be.
    #[error("{what}: integer of {got} bytes, at most {bits} bits fit")]
    Integer {
        /// The field.
        what: &'static str,
        /// Most bits.
        bits: usize,
        /// Bytes that came.
        got: usize,
    },
    /// A transaction's string does not start with an EIP-2718 type.
    #[error("transaction type {got:#04x} is above 0x7f")]
    TransactionType {
        /// The first byte.
        got: u8,
    },
}
