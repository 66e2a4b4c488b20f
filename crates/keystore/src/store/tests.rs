use alloy_primitives::address;
use time::macros::datetime;

use super::*;

/// Two of the files in go-ethereum's `accounts/keystore/testdata/keystore`, whose password is `foobar`.
const AAA: &str = r#"{"address":"f466859ead1932d743d622cb74fc058882e8648a","crypto":{"cipher":"aes-128-ctr","ciphertext":"cb664472deacb41a2e995fa7f96fe29ce744471deb8d146a0e43c7898c9ddd4d","cipherparams":{"iv":"dfd9ee70812add5f4b8f89d0811c9158"},"kdf":"scrypt","kdfparams":{"dklen":32,"n":8,"p":16,"r":8,"salt":"0d6769bf016d45c479213990d6a08d938469c4adad8a02ce507b4a4e7b7739f1"},"mac":"bac9af994b15a45dd39669fc66f9aa8a3b9dd8c22cb16e4d8d7ea089d0f1a1a9"},"id":"472e8b3d-afb6-45b5-8111-72c89895099a","version":3}"#;
const ZZZ: &str = r#"{"address":"289d485d9771714cce91d3393d764e1311907acc","crypto":{"cipher":"aes-128-ctr","ciphertext":"faf32ca89d286b107f5e6d842802e05263c49b78d46eac74e6109e9a963378ab","cipherparams":{"iv":"558833eec4a665a8c55608d7d503407d"},"kdf":"scrypt","kdfparams":{"dklen":32,"n":8,"p":16,"r":8,"salt":"d571fff447ffb24314f9513f5160246f09997b857ac71348b73e785aab40dc04"},"mac":"21edb85ff7d0dab1767b9bf498f2c3cb7be7609490756bd32300bb213b59effe"},"id":"3279afcf-55ba-43ff-8997-02dcc46a6525","version":3}"#;
const A: Address = address!("f466859ead1932d743d622cb74fc058882e8648a");
const Z: Address = address!("289d485d9771714cce91d3393d764e1311907acc");

/// The folder as go-ethereum's tests have it: good files, and all that must be passed over.
fn geths_folder() -> (tempfile::TempDir, Keystore) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("zzz", ZZZ);
    write("aaa", AAA);
    write("no-address", &AAA.replace("\"address\":\"f466859ead1932d743d622cb74fc058882e8648a\",", ""));
    write("zero", &AAA.replace("f466859ead1932d743d622cb74fc058882e8648a", &"0".repeat(40)));
    write("empty", "");
    write("garbage", "\u{1}\u{fffd}");
    write("README", "The password is foobar.");
    write("swapfile~", ZZZ);
    write(".hiddenfile", AAA);
    fs::create_dir(folder.path().join("foo")).unwrap();
    write("foo/bar", AAA);
    #[cfg(unix)]
    std::os::unix::fs::symlink("zzz", folder.path().join("link")).unwrap();
    let store = Keystore::open(folder.path()).with_cost(Scrypt::checked(2, 8, 1).unwrap());
    (folder, store)
}

#[test]
fn accounts_as_geth_lists_them() {
    let (folder, store) = geths_folder();
    let found = store.accounts().unwrap();
    let account = |name, address| Account { path: folder.path().join(name), address };
    assert_eq!(found, [account("aaa", A), account("zzz", Z)]);
    assert_eq!(Keystore::open(folder.path().join("nowhere")).accounts().unwrap(), []);
}

#[test]
fn geths_files_open() {
    let (_folder, store) = geths_folder();
    for address in [A, Z] {
        assert_eq!(store.unlock(address, &"foobar".into()).unwrap().address(), address);
        let error = store.unlock(address, &"foobaz".into()).unwrap_err();
        assert_eq!(error.to_string(), "could not decrypt key with given password");
        assert!(error.is_wrong_password());
    }
    let error = store.unlock(Address::repeat_byte(1), &"foobar".into()).unwrap_err();
    assert_eq!(error.to_string(), "no key for given address or file");
}

#[test]
fn an_address_in_two_files_is_refused() {
    let (folder, store) = geths_folder();
    fs::copy(folder.path().join("aaa"), folder.path().join("aab")).unwrap();
    let error = store.unlock(A, &"foobar".into()).unwrap_err().to_string();
    let (a, b) = (folder.path().join("aaa"), folder.path().join("aab"));
    assert_eq!(error, format!("multiple keys match address ({}, {})", a.display(), b.display()));
    assert!(matches!(store.update(A, &"foobar".into(), &"x".into()), Err(KeystoreError::Ambiguous { .. })));
}

#[test]
fn a_swapped_file_is_refused() {
    let (folder, store) = geths_folder();
    let swapped = AAA.replace("f466859ead1932d743d622cb74fc058882e8648a", &"11".repeat(20));
    fs::write(folder.path().join("aaa"), swapped).unwrap();
    let error = store.unlock(Address::repeat_byte(0x11), &"foobar".into()).unwrap_err();
    assert!(error.to_string().starts_with("key content mismatch: have account f466859e"), "{error}");
}

#[test]
fn new_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let store = Keystore::open(folder.path().join("a/keystore")).with_cost(Scrypt::checked(2, 8, 1).unwrap());
    let account = store.new_account(&"pass".into()).unwrap();
    assert_eq!(store.accounts().unwrap(), std::slice::from_ref(&account));
    assert_eq!(store.unlock(account.address, &"pass".into()).unwrap().address(), account.address);
    let name = account.path.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("UTC--20") && name.ends_with(&format!("Z--{}", hex::encode(account.address))), "{name}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&account.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(store.folder()).unwrap().permissions().mode() & 0o777, 0o700);
    }
    assert_eq!(fs::read_dir(store.folder()).unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn imported_once() {
    let (folder, store) = geths_folder();
    let key = store.unlock(A, &"foobar".into()).unwrap();
    assert_eq!(store.import(&key, &"x".into()).unwrap_err().to_string(), "account already exists");
    let other = Keystore::open(folder.path().join("other")).with_cost(store.cost);
    let account = other.import(&key, &"x".into()).unwrap();
    assert_eq!(other.unlock(account.address, &"x".into()).unwrap().address(), A);
}

#[test]
fn an_update_changes_the_password_and_nothing_else() {
    let (folder, store) = geths_folder();
    let error = store.update(A, &"wrong".into(), &"new".into()).unwrap_err();
    assert!(error.is_wrong_password());
    assert_eq!(fs::read_to_string(folder.path().join("aaa")).unwrap(), AAA, "left as it was");

    let account = store.update(A, &"foobar".into(), &"new".into()).unwrap();
    assert_eq!(account.path, folder.path().join("aaa"));
    assert_eq!(store.unlock(A, &"new".into()).unwrap().address(), A);
    assert!(store.unlock(A, &"foobar".into()).unwrap_err().is_wrong_password());
    let text = fs::read_to_string(folder.path().join("aaa")).unwrap();
    assert!(text.contains("472e8b3d-afb6-45b5-8111-72c89895099a"), "the id stays");
}

#[test]
fn names() {
    let name =
        file_name(datetime!(2016-03-22 12:57:55.920751759 UTC), address!("7ef5a6135f1fd6a02593eedc869c6d41d934aef8"));
    assert_eq!(name, "UTC--2016-03-22T12-57-55.920751759Z--7ef5a6135f1fd6a02593eedc869c6d41d934aef8");
    let name = file_name(datetime!(2026-01-02 03:04:05 UTC), Address::ZERO);
    assert_eq!(name, format!("UTC--2026-01-02T03-04-05.000000000Z--{}", "0".repeat(40)));
}
