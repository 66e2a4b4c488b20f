//! A light node that is stopped in the midst of a sync, in order and by force.

use std::{thread, time::Duration};

use rushlight_p2p::Enode;
use serde_json::json;

use crate::{
    mainnet::{Full, HEAD, HEAD_HASH, Mainnet, full_flags, light_flags},
    process::Process,
    proxy::{self, Proxy},
    rpc::{Rpc, number},
};

/// Bytes on the wire that hold some thousand headers, and far from all.
const HALF: usize = 1_000_000;

/// Headers that are stored before anything rests: the first ones wait for the ethash cache to be made.
const WARM: u64 = 1_000;

#[test]
fn a_killed_light_node_goes_on_from_where_it_was() {
    let Some(mainnet) = Mainnet::get() else { return };
    let full = Full::start();
    let proxy = proxy::start(full.enode.addr, HALF);
    let silent_later = Enode { addr: proxy.addr, ..full.enode.clone() };
    let datadir = tempfile::tempdir().unwrap();
    let mut light = Process::start(light_flags(datadir.path(), &[silent_later]));
    let rpc = Rpc::of(&mut light);
    let stuck_at = progress_comes_to_rest(&rpc, &light, &proxy);
    assert!((WARM..HEAD - 1000).contains(&stuck_at), "at {stuck_at}");
    assert_eq!(rpc.number("eth_blockNumber", json!([])), 0, "what is not settled is answered from by nobody");
    light.signal("KILL");
    light.wait();

    let mut light = Process::start(light_flags(datadir.path(), std::slice::from_ref(&full.enode)));
    let rpc = Rpc::of(&mut light);
    rpc.reach(HEAD, &light);
    assert_eq!(rpc.call("eth_getBlockByNumber", json!(["latest", false]))["hash"], HEAD_HASH);
    let fetched: u64 = light.log_line("the end of the sync", |line| {
        line.contains("sync of headers ended").then_some(())?;
        line.split_once("count=")?.1.split(' ').next()?.parse().ok()
    });
    assert!(fetched <= HEAD - stuck_at, "{fetched} headers fetched anew, although {stuck_at} were held");
    mainnet.proved_balance(&rpc, mainnet.headers[1].beneficiary, 1);

    // And once more, with nothing left to fetch.
    light.signal("KILL");
    light.wait();
    let mut light = Process::start(light_flags(datadir.path(), std::slice::from_ref(&full.enode)));
    assert_eq!(Rpc::of(&mut light).number("eth_blockNumber", json!([])), HEAD);
}

#[test]
fn a_light_node_ends_in_order_in_the_midst_of_a_sync() {
    let Some(_) = Mainnet::get() else { return };
    let full = Full::start();
    let proxy = proxy::start(full.enode.addr, HALF);
    let silent_later = Enode { addr: proxy.addr, ..full.enode.clone() };
    let datadir = tempfile::tempdir().unwrap();
    let mut light = Process::start(light_flags(datadir.path(), &[silent_later]));
    let rpc = Rpc::of(&mut light);
    progress_comes_to_rest(&rpc, &light, &proxy);
    light.stop("TERM");
}

#[test]
fn an_import_that_is_broken_off_goes_on_later() {
    let Some(_) = Mainnet::get() else { return };
    let datadir = tempfile::tempdir().unwrap();
    let era1 = rushlight_chain::testdata::path("mainnet/mainnet-00000-5ec1ffb8.era1").expect("data");
    let mut flags = full_flags(datadir.path());
    flags.extend(["--import".to_owned(), era1.display().to_string()]);
    let mut full = Process::start(&flags);
    full.logged("Importing blocks block ");
    let ended = full.stop("INT");
    assert!(ended.out.is_empty(), "it never listened: {:?}", ended.out);
    assert!(ended.log.iter().any(|line| line.contains("Import broken off")), "{:#?}", ended.log);

    let mut full = Process::start(&flags);
    crate::mainnet::enode(&mut full);
    let new: u64 = full.logged(" new=").parse().unwrap();
    assert!((1..HEAD).contains(&new), "{new} blocks were left");
    full.stop("TERM");
}

/// The block that sync stands at once it does not move any more.
fn progress_comes_to_rest(rpc: &Rpc, light: &Process, proxy: &Proxy) -> u64 {
    let current = || {
        let syncing = rpc.call("eth_syncing", json!([]));
        syncing.get("currentBlock").map_or(0, number)
    };
    let (mut last, mut rests) = (0, 0);
    for turn in 1..=1200 {
        thread::sleep(Duration::from_millis(100));
        // On a busy machine the silent peer is let go before the cache is made; then another session is needed.
        if turn % 200 == 0 && last <= WARM {
            proxy.give(HALF);
        }
        let now = current();
        rests = if now == last && now > WARM { rests + 1 } else { 0 };
        last = now;
        if rests == 15 {
            return now;
        }
    }
    panic!("no progress that comes to rest, at {last}: {:#?}", light.log());
}
