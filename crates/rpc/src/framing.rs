//! Where one JSON text ends and the next begins on a stream, as geth's IPC has it: values one after the other, with or
//! without white space between. Pure.
//!
//! Each byte is looked at once, against the grammar of [RFC 8259](https://www.rfc-editor.org/rfc/rfc8259), so that
//! garbage is told at its first byte and a client does not wait for the answer to something that never ends.

use std::mem;

/// Deepest nesting, as in Go's decoder, which geth reads with.
const MAX_DEPTH: usize = 10_000;

/// Why a stream cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A byte that no JSON text has there.
    #[error("invalid character {byte:#04x} at byte {at} of a message")]
    Invalid {
        /// The byte.
        byte: u8,
        /// Its place in the value it is in.
        at: usize,
    },
    /// More than one message may have.
    #[error("message too long, at most {most} bytes are taken")]
    TooLong {
        /// The bound in bytes.
        most: usize,
    },
    /// Arrays and objects within each other beyond the bound.
    #[error("message nested too deeply, at most {most} levels are taken")]
    TooDeep {
        /// The bound in levels.
        most: usize,
    },
}

/// Cuts a stream into JSON values. It holds no more than one message and what was fed last.
#[derive(Debug)]
pub struct Framer {
    max: usize,
    bytes: Vec<u8>,
    /// Where the value begins that is being read.
    start: usize,
    /// How far it has been looked at.
    seen: usize,
    scanner: Scanner,
    failed: Option<FrameError>,
}

impl Framer {
    /// Takes values of at most `max` bytes.
    pub fn new(max: usize) -> Self {
        Self { max, bytes: Vec::new(), start: 0, seen: 0, scanner: Scanner::default(), failed: None }
    }

    /// More of the stream. Values already complete are to be taken with [`Framer::next_value`] first.
    pub fn feed(&mut self, more: &[u8]) {
        self.bytes.drain(..self.start);
        self.seen -= mem::take(&mut self.start);
        self.bytes.extend_from_slice(more);
    }

    /// The next value that is complete, if there is one.
    ///
    /// # Errors
    /// The stream is no sequence of JSON values, or one is over a bound. It stays so.
    pub fn next_value(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        self.scan().inspect_err(|error| {
            self.failed = Some(*error);
            self.bytes = Vec::new();
            (self.start, self.seen) = (0, 0);
        })
    }

    fn scan(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        while let Some(&byte) = self.bytes.get(self.seen) {
            if self.scanner.is_idle() && is_space(byte) {
                self.seen += 1;
                self.start = self.seen;
                continue;
            }
            let at = self.seen - self.start;
            let end = match self.scanner.step(byte) {
                Step::On => None,
                Step::Ends => Some(self.seen + 1),
                Step::EndedBefore => Some(self.seen),
                Step::Invalid => return Err(FrameError::Invalid { byte, at }),
                Step::TooDeep => return Err(FrameError::TooDeep { most: MAX_DEPTH }),
            };
            self.seen = end.unwrap_or(self.seen + 1);
            if self.seen - self.start > self.max {
                return Err(FrameError::TooLong { most: self.max });
            }
            if let Some(end) = end {
                let value = self.bytes[self.start..end].to_vec();
                self.start = end;
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

enum Step {
    /// The value goes on.
    On,
    /// This byte is its last.
    Ends,
    /// It ended before this byte: a number outside of everything.
    EndedBefore,
    Invalid,
    TooDeep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    /// After `[`.
    FirstElement,
    /// After `{`.
    FirstKey,
    /// After `,` in an object.
    Key,
    Colon,
    /// After a value in an array or object.
    After,
    Text,
    Escape,
    /// So many hexadecimal digits are still to come.
    Hex(u8),
    Minus,
    Zero,
    Digits,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
    /// The rest of `true`, `false`, `null`.
    Word(&'static [u8]),
}

/// JSON's grammar, a byte at a time.
#[derive(Debug)]
struct Scanner {
    state: State,
    /// What is open, outermost first: true for an object.
    open: Vec<bool>,
    /// Whether the text being read is a key.
    key: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        Self { state: State::Value, open: Vec::new(), key: false }
    }
}

impl Scanner {
    /// Between two values of the stream.
    fn is_idle(&self) -> bool {
        self.state == State::Value && self.open.is_empty()
    }

    fn step(&mut self, byte: u8) -> Step {
        use State as S;
        let space = is_space(byte);
        match (self.state, byte) {
            (S::Value | S::FirstElement | S::FirstKey | S::Key | S::Colon | S::After, _) if space => Step::On,
            (S::FirstElement, b']') | (S::FirstKey, b'}') => self.close(),
            (S::Value | S::FirstElement, _) => self.begin(byte),
            (S::FirstKey | S::Key, b'"') => {
                self.key = true;
                self.to(S::Text)
            }
            (S::Colon, b':') => self.to(S::Value),
            (S::After, b',') => self.to(if self.open.last() == Some(&true) { S::Key } else { S::Value }),
            (S::After, b']') if self.open.last() == Some(&false) => self.close(),
            (S::After, b'}') if self.open.last() == Some(&true) => self.close(),
            (S::Text, b'"') if mem::take(&mut self.key) => self.to(S::Colon),
            (S::Text, b'"') => self.end(),
            (S::Text, b'\\') => self.to(S::Escape),
            (S::Text, 0x20..) => Step::On,
            (S::Escape, b'u') => self.to(S::Hex(4)),
            (S::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.to(S::Text),
            (S::Hex(left), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.to(if left == 1 { S::Text } else { S::Hex(left - 1) })
            }
            (S::Minus, b'0') => self.to(S::Zero),
            (S::Minus, b'1'..=b'9') | (S::Digits, b'0'..=b'9') => self.to(S::Digits),
            (S::Zero | S::Digits, b'.') => self.to(S::Point),
            (S::Point | S::Fraction, b'0'..=b'9') => self.to(S::Fraction),
            (S::Zero | S::Digits | S::Fraction, b'e' | b'E') => self.to(S::E),
            (S::E, b'+' | b'-') => self.to(S::Sign),
            (S::E | S::Sign | S::Exponent, b'0'..=b'9') => self.to(S::Exponent),
            (S::Zero | S::Digits | S::Fraction | S::Exponent, _) => match self.end() {
                Step::Ends => Step::EndedBefore,
                // Within something: this byte comes after the number.
                _ => self.step(byte),
            },
            (S::Word([last]), _) if *last == byte => self.end(),
            (S::Word([next, rest @ ..]), _) if *next == byte => self.to(S::Word(rest)),
            _ => Step::Invalid,
        }
    }

    fn begin(&mut self, byte: u8) -> Step {
        match byte {
            b'{' => self.open(true, State::FirstKey),
            b'[' => self.open(false, State::FirstElement),
            b'"' => self.to(State::Text),
            b'-' => self.to(State::Minus),
            b'0' => self.to(State::Zero),
            b'1'..=b'9' => self.to(State::Digits),
            b't' => self.to(State::Word(b"rue")),
            b'f' => self.to(State::Word(b"alse")),
            b'n' => self.to(State::Word(b"ull")),
            _ => Step::Invalid,
        }
    }

    fn open(&mut self, object: bool, state: State) -> Step {
        if self.open.len() == MAX_DEPTH {
            return Step::TooDeep;
        }
        self.open.push(object);
        self.to(state)
    }

    fn close(&mut self) -> Step {
        self.open.pop();
        self.end()
    }

    fn end(&mut self) -> Step {
        if self.open.is_empty() {
            self.state = State::Value;
            Step::Ends
        } else {
            self.to(State::After)
        }
    }

    fn to(&mut self, state: State) -> Step {
        self.state = state;
        Step::On
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Deserializer, Value, value::RawValue};

    use super::*;

    /// Everything that comes out of a stream fed in parts of this size, and how it ends.
    fn cut(stream: &[u8], part: usize, max: usize) -> (Vec<String>, Option<FrameError>) {
        let mut framer = Framer::new(max);
        let mut values = Vec::new();
        for part in stream.chunks(part.max(1)) {
            framer.feed(part);
            loop {
                match framer.next_value() {
                    Ok(Some(value)) => values.push(String::from_utf8_lossy(&value).into_owned()),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(framer.next_value(), Err(error), "it stays so");
                        return (values, Some(error));
                    }
                }
            }
        }
        (values, None)
    }

    #[test]
    fn values_one_after_the_other() {
        let stream = br#"{"a":[1,-2.5e+3,{"}":"]\"\\\u00e9"}]}[ ]  "x"true null{}12 7"#;
        let expected = [r#"{"a":[1,-2.5e+3,{"}":"]\"\\\u00e9"}]}"#, "[ ]", "\"x\"", "true", "null", "{}", "12"];
        for part in 1..stream.len() {
            assert_eq!(cut(stream, part, 1000), (expected.map(str::to_owned).to_vec(), None), "7 may go on");
        }
    }

    #[test]
    fn garbage_is_told_at_its_first_byte() {
        for (stream, at) in [
            ("x", 0),
            ("{x", 1),
            ("{\"a\" 1", 5),
            ("[1,]", 3),
            ("{\"a\":1,}", 7),
            ("[1}", 2),
            ("01", 1),
            ("-x", 1),
            ("1.}", 2),
            ("tru}", 3),
            ("\"\\x", 2),
            ("\"\\u12g", 5),
            ("[1 2", 3),
            ("]", 0),
            ("\"\n", 1),
            ("{]", 1),
        ] {
            let (values, error) = cut(stream.as_bytes(), 1, 1000);
            if stream == "01" {
                // Two values to a stream: 0, and what begins with 1.
                assert_eq!((values.len(), error), (1, None));
                continue;
            }
            assert!(matches!(error, Some(FrameError::Invalid { at: found, .. }) if found == at), "{stream}: {error:?}");
        }
    }

    #[test]
    fn bounds() {
        let long = format!("\"{}", "a".repeat(100));
        assert_eq!(cut(long.as_bytes(), 7, 50).1, Some(FrameError::TooLong { most: 50 }));
        assert_eq!(cut(b"\"aaa\" \"aaaa\"", 3, 5), (vec!["\"aaa\"".to_owned()], Some(FrameError::TooLong { most: 5 })));
        let deep = "[".repeat(MAX_DEPTH + 1);
        assert_eq!(cut(deep.as_bytes(), 1000, 1 << 20).1, Some(FrameError::TooDeep { most: MAX_DEPTH }));
        let spaces = " ".repeat(10_000);
        let mut framer = Framer::new(10);
        for _ in 0..100 {
            framer.feed(spaces.as_bytes());
            assert_eq!(framer.next_value(), Ok(None));
            assert!(framer.bytes.len() <= spaces.len(), "white space is not kept");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((".{0,5}", inner), 0..5).prop_map(|all| Value::Object(all.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_written_comes_out(values in prop::collection::vec(value(), 1..6), part in 1_usize..50) {
            let stream: String = values.iter().map(|value| format!("{value} ")).collect();
            let written: Vec<_> = values.iter().map(Value::to_string).collect();
            prop_assert_eq!(cut(stream.as_bytes(), part, 1 << 20), (written, None));
        }

        #[test]
        fn the_grammar_is_serdes(stream in "[\\[\\]{}:, \"\\\\u0-3tfnaelrs.eE+-]{0,24}", part in 1_usize..5) {
            let (values, error) = cut(stream.as_bytes(), part, 1000);
            let mut theirs = Deserializer::from_str(&stream).into_iter::<&RawValue>();
            for value in &values {
                // serde wants something between two bare words or numbers, geth does not.
                let Some(Ok(raw)) = theirs.next() else { return Ok(()) };
                prop_assert_eq!(raw.get(), value);
            }
            match theirs.next() {
                Some(Ok(raw)) => prop_assert!(raw.get().parse::<f64>().is_ok(), "{} may go on", raw),
                // serde calls a minus sign at the end wrong, though a digit may follow.
                Some(Err(wrong)) if !wrong.is_eof() && !stream.ends_with('-') => prop_assert!(error.is_some() || !values.is_empty(), "{}", wrong),
                _ => {}
            }
        }
    }
}
