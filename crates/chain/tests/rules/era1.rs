//! The era1 reader on a real file, and on the same file cut and changed.

use std::io::Read;

use rushlight_chain::era1::{Era1Error, Era1Reader};
use rushlight_chain::{Body, header, testdata, verify_body};

const FILE: &str = "mainnet/mainnet-00000-5ec1ffb8.era1";

#[test]
fn a_real_file_is_read_to_its_end() {
    let Some(bytes) = testdata::read(FILE) else { return };
    let mut reader = Era1Reader::new(bytes.as_slice()).unwrap();
    let mut uncles = 0;
    for number in 0..8192 {
        let block = reader.next().unwrap().unwrap();
        let header = header::decode(&block.header).unwrap();
        assert_eq!(header.number, number);
        let body = Body::decode(&block.body).unwrap();
        verify_body(&header, &body).unwrap();
        assert_eq!(body.encode(), block.body);
        uncles += body.uncles.len();
    }
    assert!(reader.next().is_none());
    assert_eq!(uncles, 1410);
    assert_eq!(reader.start(), Some(0));
    let accumulator = reader.accumulator().unwrap().to_string();
    assert_eq!(accumulator, "0x5ec1ffb8c3b146f42606c74ced973dc16ec5a107c0345858c343fc94780b4218");
}

/// Reads all of it, and gives the error that ends it.
fn failure(input: impl Read) -> Option<Era1Error> {
    match Era1Reader::new(input) {
        Ok(reader) => reader.filter_map(Result::err).next(),
        Err(error) => Some(error),
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let Some(bytes) = testdata::read(FILE) else { return };
    let near_start = 0..2000;
    let near_end = bytes.len() - 2000..bytes.len();
    for cut in near_start.chain((0..bytes.len()).step_by(bytes.len() / 50)).chain(near_end.step_by(100)) {
        assert!(matches!(failure(&bytes[..cut]), Some(Era1Error::Io(_))), "cut at {cut}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(failure(longer.as_slice()), Some(Era1Error::TrailingBytes)));
}

#[test]
fn a_changed_entry_is_refused() {
    let Some(bytes) = testdata::read(FILE) else { return };
    let changed = |place: usize, to: u8| {
        let mut bytes = bytes[..200_000].to_vec();
        bytes[place] = to;
        failure(bytes.as_slice()).unwrap().to_string()
    };
    assert_eq!(changed(0, 0x66), "era1 entry 1: expected type version 0x3265, got 0x3266");
    assert_eq!(changed(2, 1), "era1 entry 1: expected 0 bytes, got 1");
    assert_eq!(changed(6, 1), "era1 entry 1: expected reserved bytes 0, got 0x0001");
    assert_eq!(changed(8, 5), "era1 entry 2: expected type header 0x03 or accumulator 0x07, got 0x0005");
    // a length far past the end: refused before memory is taken for it
    assert_eq!(changed(13, 0xff), "era1 entry 2: expected at most 67108864 bytes, got more");
}

#[test]
fn a_small_entry_that_unpacks_to_much_is_refused() {
    let mut file = vec![0x65, 0x32, 0, 0, 0, 0, 0, 0];
    let mut packer = snap::write::FrameEncoder::new(Vec::new());
    std::io::Write::write_all(&mut packer, &vec![0; 1 << 20]).unwrap();
    let packed = packer.into_inner().unwrap();
    file.extend_from_slice(&[0x03, 0]);
    file.extend_from_slice(&(packed.len() as u32).to_le_bytes());
    file.extend_from_slice(&[0, 0]);
    file.extend_from_slice(&packed);
    let error = failure(file.as_slice()).unwrap().to_string();
    assert_eq!(error, "era1 entry 2: expected at most 4096 bytes, got more");
}
