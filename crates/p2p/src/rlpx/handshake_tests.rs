//! The vectors that EIP-8 publishes, and what hostile packets come to.

use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};

use super::*;

const AUTH_1: &str = concat!(
    "048ca79ad18e4b0659fab4853fe5bc58eb83992980f4c9cc147d2aa31532efd29a3d3dc6a3d89eaf913150cfc777ce0ce4af2758",
    "bf4810235f6e6ceccfee1acc6b22c005e9e3a49d6448610a58e98744ba3ac0399e82692d67c1f58849050b3024e21a52c9d3b01d",
    "871ff5f210817912773e610443a9ef142e91cdba0bd77b5fdf0769b05671fc35f83d83e4d3b0b000c6b2a1b1bba89e0fc51bf4e4",
    "60df3105c444f14be226458940d6061c296350937ffd5e3acaceeaaefd3c6f74be8e23e0f45163cc7ebd76220f0128410fd05250",
    "273156d548a414444ae2f7dea4dfca2d43c057adb701a715bf59f6fb66b2d1d20f2c703f851cbf5ac47396d9ca65b6260bd141ac",
    "4d53e2de585a73d1750780db4c9ee4cd4d225173a4592ee77e2bd94d0be3691f3b406f9bba9b591fc63facc016bfa8",
);

const AUTH_2: &str = concat!(
    "01b304ab7578555167be8154d5cc456f567d5ba302662433674222360f08d5f1534499d3678b513b0fca474f3a514b18e7568303",
    "2eb63fccb16c156dc6eb2c0b1593f0d84ac74f6e475f1b8d56116b849634a8c458705bf83a626ea0384d4d7341aae591fae42ce6",
    "bd5c850bfe0b999a694a49bbbaf3ef6cda61110601d3b4c02ab6c30437257a6e0117792631a4b47c1d52fc0f8f89caadeb7d0277",
    "0bf999cc147d2df3b62e1ffb2c9d8c125a3984865356266bca11ce7d3a688663a51d82defaa8aad69da39ab6d5470e81ec5f2a7a",
    "47fb865ff7cca21516f9299a07b1bc63ba56c7a1a892112841ca44b6e0034dee70c9adabc15d76a54f443593fafdc3b27af80597",
    "03f88928e199cb122362a4b35f62386da7caad09c001edaeb5f8a06d2b26fb6cb93c52a9fca51853b68193916982358fe1e5369e",
    "249875bb8d0d0ec36f917bc5e1eafd5896d46bd61ff23f1a863a8a8dcd54c7b109b771c8e61ec9c8908c733c0263440e2aa06724",
    "1aaa433f0bb053c7b31a838504b148f570c0ad62837129e547678c5190341e4f1693956c3bf7678318e2d5b5340c9e488eefea19",
    "8576344afbdf66db5f51204a6961a63ce072c8926c",
);

const AUTH_3: &str = concat!(
    "01b8044c6c312173685d1edd268aa95e1d495474c6959bcdd10067ba4c9013df9e40ff45f5bfd6f72471f93a91b493f8e00abc4b",
    "80f682973de715d77ba3a005a242eb859f9a211d93a347fa64b597bf280a6b88e26299cf263b01b8dfdb712278464fd1c25840b9",
    "95e84d367d743f66c0e54a586725b7bbf12acca27170ae3283c1073adda4b6d79f27656993aefccf16e0d0409fe07db2dc398a1b",
    "7e8ee93bcd181485fd332f381d6a050fba4c7641a5112ac1b0b61168d20f01b479e19adf7fdbfa0905f63352bfc7e23cf3357657",
    "455119d879c78d3cf8c8c06375f3f7d4861aa02a122467e069acaf513025ff196641f6d2810ce493f51bee9c966b15c504350535",
    "0392b57645385a18c78f14669cc4d960446c17571b7c5d725021babbcd786957f3d17089c084907bda22c2b2675b4378b114c601",
    "d858802a55345a15116bc61da4193996187ed70d16730e9ae6b3bb8787ebcaea1871d850997ddc08b4f4ea668fbf37407ac044b5",
    "5be0908ecb94d4ed172ece66fd31bfdadf2b97a8bc690163ee11f5b575a4b44e36e2bfb2f0fce91676fd64c7773bac6a003f481f",
    "ddd0bae0a1f31aa27504e2a533af4cef3b623f4791b2cca6d490",
);

const ACK_1: &str = concat!(
    "049f8abcfa9c0dc65b982e98af921bc0ba6e4243169348a236abe9df5f93aa69d99cadddaa387662b0ff2c08e9006d5a11a278b1",
    "b3331e5aaabf0a32f01281b6f4ede0e09a2d5f585b26513cb794d9635a57563921c04a9090b4f14ee42be1a5461049af4ea7a7f4",
    "9bf4c97a352d39c8d02ee4acc416388c1c66cec761d2bc1c72da6ba143477f049c9d2dde846c252c111b904f630ac98e51609b3b",
    "1f58168ddca6505b7196532e5f85b259a20c45e1979491683fee108e9660edbf38f3add489ae73e3dda2c71bd1497113d5c755e9",
    "42d1",
);

const ACK_2: &str = concat!(
    "01ea0451958701280a56482929d3b0757da8f7fbe5286784beead59d95089c217c9b917788989470b0e330cc6e4fb383c0340ed8",
    "5fab836ec9fb8a49672712aeabbdfd1e837c1ff4cace34311cd7f4de05d59279e3524ab26ef753a0095637ac88f2b499b9914b5f",
    "64e143eae548a1066e14cd2f4bd7f814c4652f11b254f8a2d0191e2f5546fae6055694aed14d906df79ad3b407d94692694e2591",
    "91cde171ad542fc588fa2b7333313d82a9f887332f1dfc36cea03f831cb9a23fea05b33deb999e85489e645f6aab1872475d488d",
    "7bd6c7c120caf28dbfc5d6833888155ed69d34dbdc39c1f299be1057810f34fbe754d021bfca14dc989753d61c413d261934e1a9",
    "c67ee060a25eefb54e81a4d14baff922180c395d3f998d70f46f6b58306f969627ae364497e73fc27f6d17ae45a413d322cb8814",
    "276be6ddd13b885b201b943213656cde498fa0e9ddc8e0b8f8a53824fbd82254f3e2c17e8eaea009c38b4aa0a3f306e8797db43c",
    "25d68e86f262e564086f59a2fc60511c42abfb3057c247a8a8fe4fb3ccbadde17514b7ac8000cdb6a912778426260c47f38919a9",
    "1f25f4b5ffb455d6aaaf150f7e5529c100ce62d6d92826a71778d809bdf60232ae21ce8a437eca8223f45ac37f6487452ce626f5",
    "49b3b5fdee26afd2072e4bc75833c2464c805246155289f4",
);

const ACK_3: &str = concat!(
    "01f004076e58aae772bb101ab1a8e64e01ee96e64857ce82b1113817c6cdd52c09d26f7b90981cd7ae835aeac72e1573b8a0225d",
    "d56d157a010846d888dac7464baf53f2ad4e3d584531fa203658fab03a06c9fd5e35737e417bc28c1cbf5e5dfc666de7090f69c3",
    "b29754725f84f75382891c561040ea1ddc0d8f381ed1b9d0d4ad2a0ec021421d847820d6fa0ba66eaf58175f1b235e851c7e2124",
    "069fbc202888ddb3ac4d56bcbd1b9b7eab59e78f2e2d400905050f4a92dec1c4bdf797b3fc9b2f8e84a482f3d800386186712dae",
    "00d5c386ec9387a5e9c9a1aca5a573ca91082c7d68421f388e79127a5177d4f8590237364fd348c9611fa39f78dcdceee3f390f0",
    "7991b7b47e1daa3ebcb6ccc9607811cb17ce51f1c8c2c5098dbdd28fca547b3f58c01a424ac05f869f49c6a34672ea2cbbc55842",
    "8aa1fe48bbfd61158b1b735a65d99f21e70dbc020bfdface9f724a0d1fb5895db971cc81aa7608baa0920abb0a565c9c436e2fd1",
    "3323428296c86385f2384e408a31e104670df0791d93e743a3a5194ee6b076fb6323ca593011b7348c16cf58f66b9633906ba54a",
    "2ee803187344b394f75dd2e663a57b956cb830dd7a908d4f39a2336a61ef9fda549180d4ccde21514d117b6c6fd07a9102b5efe7",
    "10a32af4eeacae2cb3b1dec035b9593b48b9d3ca4c13d245d5f04169b0b1",
);

fn hex32(text: &str) -> [u8; 32] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn key(text: &str) -> SecretKey {
    SecretKey::from_byte_array(hex32(text)).unwrap()
}

fn static_a() -> SecretKey {
    key("49a7b37aa6f6645917e7b807e9d1c00d4fa71f18343b0d4122a4d2df64dd6fee")
}

fn static_b() -> SecretKey {
    key("b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291")
}

fn ephemeral_a() -> Ephemeral {
    Ephemeral {
        key: key("869d6ecf5211f1cc60418a13b9d870b22959d0c16f02bec714c960dd2298a32d"),
        nonce: hex32("7e968bba13b6c50e2c4cd7f241cc0d64d1ac25c7f5952df231ac6a2bda8ee5d6"),
    }
}

fn ephemeral_b() -> Ephemeral {
    Ephemeral {
        key: key("e238eb8e04fee6511ab04c6dd3c89ce097b11f25d584863ac2b6d5b35b1847e4"),
        nonce: hex32("559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd"),
    }
}

fn public(key: &SecretKey) -> PublicKey {
    PublicKey::from_secret_key_global(key)
}

#[test]
fn auth_of_eip_8() {
    for (packet, form, version) in [(AUTH_1, Form::Old, 4), (AUTH_2, Form::Eip8, 4), (AUTH_3, Form::Eip8, 56)] {
        let (auth, got) = Auth::decode(&static_b(), &hex::decode(packet).unwrap()).unwrap();
        assert_eq!((got, auth.version), (form, version));
        assert_eq!(auth.nonce, ephemeral_a().nonce);
        assert_eq!(auth.id, PeerId::of(&static_a()));
        assert_eq!(
            hex::encode(auth.signature),
            "299ca6acfd35e3d72d8ba3d1e2b60b5561d5af5218eb5bc182045769eb4226910a301acae3b369fffc4a4899d6b02531e89fd4fe36a2cf0d93607ba470b50f7800"
        );
        let (remote, ephemeral) = check_auth(&static_b(), &auth).unwrap();
        assert_eq!(remote, public(&static_a()));
        assert_eq!(ephemeral, public(&ephemeral_a().key));
        // Ours differs, as a signature has a nonce of its own, but gives the same keys.
        let ours = ephemeral_a().auth(&static_a(), &public(&static_b()));
        assert_eq!(check_auth(&static_b(), &ours).unwrap(), (remote, ephemeral));
    }
}

#[test]
fn ack_of_eip_8() {
    for (packet, form, version) in [(ACK_1, Form::Old, 4), (ACK_2, Form::Eip8, 4), (ACK_3, Form::Eip8, 57)] {
        let (ack, got) = Ack::decode(&static_a(), &hex::decode(packet).unwrap()).unwrap();
        assert_eq!((got, ack.version), (form, version));
        assert_eq!(Ack { version: 4, ..ack.clone() }, ephemeral_b().ack());
        assert_eq!(check_ack(&ack).unwrap(), public(&ephemeral_b().key));
    }
}

#[test]
fn secrets_of_eip_8() {
    let (auth, ack) = (hex::decode(AUTH_2).unwrap(), hex::decode(ACK_2).unwrap());
    let recipient =
        ephemeral_b().secrets(Role::Recipient, &public(&ephemeral_a().key), ephemeral_a().nonce, &auth, &ack);
    assert_eq!(hex::encode(recipient.aes), "80e8632c05fed6fc2a13b0f8d31a3cf645366239170ea067065aba8e28bac487");
    assert_eq!(hex::encode(recipient.mac), "2ea74ec5dae199227dff1af715362700e989d889d7a493cb0639691efb8e5f98");
    let ingress: [u8; 32] = recipient.ingress.clone().chain_update("foo").finalize().into();
    assert_eq!(hex::encode(ingress), "0c7ec6340062cc46f5e9f1e3cf86f8c8c403c5a0964f5df0ebd34a75ddc86db5");

    let initiator =
        ephemeral_a().secrets(Role::Initiator, &public(&ephemeral_b().key), ephemeral_b().nonce, &auth, &ack);
    assert_eq!((initiator.aes, initiator.mac), (recipient.aes, recipient.mac));
    assert_eq!(initiator.egress.finalize(), recipient.ingress.finalize());
    assert_eq!(initiator.ingress.finalize(), recipient.egress.finalize());
}

#[test]
fn a_length_tells_the_form() {
    assert_eq!(packet_len([0x01, 0xb3], OLD_AUTH_LEN), Ok((2 + 0x1b3, None)));
    assert_eq!(packet_len([0x04, 0x8c], OLD_AUTH_LEN), Ok((2 + 0x48c, Some(307))));
    assert_eq!(packet_len([0x00, 0x70], OLD_AUTH_LEN), Err(HandshakeError::Size { got: 0x70 }));
    assert_eq!(packet_len([0x10, 0x01], OLD_AUTH_LEN), Err(HandshakeError::Size { got: 0x1001 }));
}

#[test]
fn our_packets_come_back() {
    let mut rng = StdRng::seed_from_u64(1);
    let auth = ephemeral_a().auth(&static_a(), &public(&static_b()));
    let packet = auth.encode(&mut rng, &public(&static_b()));
    assert_eq!(Auth::decode(&static_b(), &packet).unwrap(), (auth.clone(), Form::Eip8));
    let ack = ephemeral_b().ack();
    for form in [Form::Eip8, Form::Old] {
        let packet = ack.encode(&mut rng, &public(&static_a()), form);
        assert_eq!(Ack::decode(&static_a(), &packet).unwrap(), (ack.clone(), form));
    }
}

#[test]
fn damaged_packets_are_refused() {
    for packet in [AUTH_1, AUTH_2, AUTH_3] {
        let packet = hex::decode(packet).unwrap();
        assert!(Auth::decode(&static_a(), &packet).is_err(), "meant for another key");
        for len in 0..packet.len() {
            assert!(Auth::decode(&static_b(), &packet[..len]).is_err());
        }
        assert!(Auth::decode(&static_b(), &[&packet[..], &[0]].concat()).is_err());
        for at in 0..packet.len() {
            let mut damaged = packet.clone();
            damaged[at] ^= 0x40;
            assert!(Auth::decode(&static_b(), &damaged).is_err(), "byte {at}");
        }
    }
}

/// A list of the wrong items, well encrypted.
#[test]
fn wrong_content_is_refused() {
    let mut rng = StdRng::seed_from_u64(1);
    let to_b = public(&static_b());
    let auth = ephemeral_a().auth(&static_a(), &to_b);
    let list = |signature: &[u8], id: &[u8], nonce: &[u8]| {
        let mut list = RlpStream::new_list(4);
        list.append(&signature).append(&id).append(&nonce).append(&4u64);
        list
    };
    for bad in [
        list(&auth.signature[1..], &auth.id.0, &auth.nonce),
        list(&auth.signature, &auth.id.0[1..], &auth.nonce),
        list(&auth.signature, &auth.id.0, &auth.nonce[1..]),
        RlpStream::new_list(0),
        RlpStream::new(),
    ] {
        let packet = seal(&mut rng, &to_b, bad);
        assert!(matches!(Auth::decode(&static_b(), &packet), Err(HandshakeError::Rlp(_))));
    }
    let check = |auth: Auth| check_auth(&static_b(), &auth).unwrap_err();
    assert!(matches!(check(Auth { id: PeerId([1; 64]), ..auth.clone() }), HandshakeError::PublicKey { .. }));
    assert_eq!(check(Auth { signature: [0; 65], ..auth.clone() }), HandshakeError::Signature);
    assert_eq!(check(Auth { signature: [0xff; 65], ..auth }), HandshakeError::Signature);
    assert!(check_ack(&Ack { ephemeral: PeerId([0; 64]), nonce: [0; 32], version: 4 }).is_err());
}

proptest! {
    #[test]
    fn noise_never_panics(packet in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Auth::decode(&static_b(), &packet).is_err());
        prop_assert!(Ack::decode(&static_a(), &packet).is_err());
    }

    /// As above, past the encryption.
    #[test]
    fn noise_well_encrypted_never_panics(plain in proptest::collection::vec(any::<u8>(), 0..300), auth in any::<[u8; 32]>()) {
        let mut rng = StdRng::from_seed(auth);
        let size = ((plain.len() + ecies::OVERHEAD) as u16).to_be_bytes();
        let body = ecies::encrypt(&mut rng, &public(&static_b()), &plain, &size);
        let packet = [&size[..], &body].concat();
        if let Ok((auth, _)) = Auth::decode(&static_b(), &packet) {
            let _ = check_auth(&static_b(), &auth);
        }
        let _ = Ack::decode(&static_b(), &packet);
    }
}
