//! The frame vector that go-ethereum publishes, and what damaged frames come to.

use proptest::prelude::*;

use super::*;

fn pair() -> ((FrameEncoder, FrameDecoder), (FrameEncoder, FrameDecoder)) {
    let (a, b) = (Keccak256::new().chain_update("a"), Keccak256::new().chain_update("b"));
    let ours = codec(Secrets { aes: [1; 32], mac: [2; 32], egress: a.clone(), ingress: b.clone() });
    let theirs = codec(Secrets { aes: [1; 32], mac: [2; 32], egress: b, ingress: a });
    (ours, theirs)
}

/// The ciphertexts of go-ethereum's golden frame (message 8, `[1, 2, 3, 4]`), whose keys are Keccak-256 of nothing.
/// Its MACs come of a hash that is stubbed out there.
#[test]
fn the_golden_frame() {
    let empty: [u8; 32] = Keccak256::digest([]).into();
    let (mut encoder, _) =
        codec(Secrets { aes: empty, mac: empty, egress: Keccak256::new(), ingress: Keccak256::new() });
    let mut out = BytesMut::new();
    encoder.encode(&hex::decode("08c401020304").unwrap(), &mut out).unwrap();
    assert_eq!(out.len(), 64);
    assert_eq!(hex::encode(&out[..16]), "00828ddae471818bb0bfa6b551d1cb42");
    assert_eq!(hex::encode(&out[32..48]), "ba628a4ba590cb43f7848f41c4382885");
}

/// The MAC's rules written out once more, step by step as in the specification.
#[test]
fn the_macs_follow_the_specification() {
    let ((mut encoder, _), _) = pair();
    let mut out = BytesMut::new();
    encoder.encode(b"hello", &mut out).unwrap();
    let mut egress = Keccak256::new().chain_update("a");
    let digest = |egress: &Keccak256| -> [u8; 32] { egress.clone().finalize().into() };
    let aes = |block: &[u8]| -> Vec<u8> {
        let mut block: [u8; 16] = block.try_into().unwrap();
        Aes256::new(&[2; 32].into()).encrypt_block((&mut block).into());
        block.to_vec()
    };
    let xor = |a: &[u8], b: &[u8]| -> Vec<u8> { a.iter().zip(b).map(|(a, b)| a ^ b).collect() };
    let header_seed = xor(&aes(&digest(&egress)[..16]), &out[..16]);
    egress.update(header_seed);
    assert_eq!(digest(&egress)[..16], out[16..32]);
    egress.update(&out[32..48]);
    let body_seed = xor(&aes(&digest(&egress)[..16]), &digest(&egress)[..16]);
    egress.update(body_seed);
    assert_eq!(digest(&egress)[..16], out[48..64]);
}

#[test]
fn sizes_are_checked_on_the_header_alone() {
    let ((mut encoder, _), (_, mut decoder)) = pair();
    let mut out = BytesMut::new();
    assert_eq!(encoder.encode(&[], &mut out), Err(FrameError::Empty));
    assert!(matches!(encoder.encode(&vec![0; MAX_FRAME_SIZE + 1], &mut out), Err(FrameError::TooLarge { .. })));
    assert!(out.is_empty());
    encoder.encode(&[0; 2049], &mut out).unwrap();
    out.truncate(HEADER_LEN);
    assert_eq!(decoder.decode(&mut out, 2048), Err(FrameError::TooLarge { got: 2049, max: 2048 }));
}

#[test]
fn the_largest_frame() {
    let ((mut encoder, _), (_, mut decoder)) = pair();
    let mut out = BytesMut::new();
    let data = vec![7; MAX_FRAME_SIZE];
    encoder.encode(&data, &mut out).unwrap();
    assert_eq!(decoder.decode(&mut out, MAX_FRAME_SIZE).unwrap().unwrap(), data);
    assert!(out.is_empty());
}

#[test]
fn every_bit_is_covered() {
    let mut frame = BytesMut::new();
    pair().0.0.encode(b"a frame of more than sixteen bytes", &mut frame).unwrap();
    // Bytes 0..32 are the header and its MAC, the rest the body and its own.
    for at in 0..frame.len() {
        let mut damaged = frame.clone();
        damaged[at] ^= 0x10;
        let error = pair().1.1.decode(&mut damaged, MAX_FRAME_SIZE).unwrap_err();
        assert_eq!(error, if at < HEADER_LEN { FrameError::HeaderMac } else { FrameError::BodyMac });
    }
    // Nor can a frame be played twice.
    let mut decoder = pair().1.1;
    let mut twice = BytesMut::from([&frame[..], &frame[..]].concat().as_slice());
    assert!(decoder.decode(&mut twice, MAX_FRAME_SIZE).unwrap().is_some());
    assert_eq!(decoder.decode(&mut twice, MAX_FRAME_SIZE), Err(FrameError::HeaderMac));
}

proptest! {
    #[test]
    fn comes_back_in_any_pieces(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 1..6),
        piece in 1usize..70,
    ) {
        let ((mut encoder, _), (_, mut decoder)) = pair();
        let mut wire = BytesMut::new();
        for frame in &frames {
            encoder.encode(frame, &mut wire).unwrap();
        }
        let mut buffer = BytesMut::new();
        let mut got = Vec::new();
        for piece in wire.chunks(piece) {
            buffer.extend_from_slice(piece);
            while let Some(frame) = decoder.decode(&mut buffer, MAX_FRAME_SIZE).unwrap() {
                got.push(frame.to_vec());
            }
            prop_assert!(buffer.len() < decoder.missing());
        }
        prop_assert_eq!(got, frames);
    }

    #[test]
    fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut buffer = BytesMut::from(&noise[..]);
        let result = pair().1.1.decode(&mut buffer, MAX_FRAME_SIZE);
        prop_assert!(matches!(result, Ok(None) | Err(FrameError::HeaderMac)));
    }
}
