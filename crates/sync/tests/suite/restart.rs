//! Going on from where it was.

use std::sync::Arc;

use rushlight_chain::SealPolicy;
use rushlight_chain::store::MemoryStore;

use super::chains::{Lie, Served, TRUNK, trunk};
use super::net::{Node, Serving, Setup, network};

#[tokio::test(start_paused = true)]
async fn a_killed_node_goes_on_from_where_it_was() {
    for policy in [SealPolicy::Sampled, SealPolicy::All] {
        let network = network(1);
        let chain = Served::new(trunk(25_000), Lie::None);
        let peers =
            [Serving::start(&network, 1, chain.clone()).await, Serving::start(&network, 2, chain.clone()).await];
        let peers: Vec<&Serving> = peers.iter().collect();
        let store = Arc::new(MemoryStore::new());
        for stop in [3_000, 9_000, 17_000] {
            let node = Node::start(&network, Setup { store: store.clone(), policy, ..Setup::default() }, &peers).await;
            node.until("progress", || node.sync.status().syncing.is_some_and(|progress| progress.current >= stop))
                .await;
            let progress = node.sync.status().syncing.unwrap();
            if policy == SealPolicy::Sampled {
                assert_eq!((progress.starting, node.chain.head().header.number), (0, 0));
            }
            node.kill(&network, 100).await;
        }
        let node = Node::start(&network, Setup { store, policy, ..Setup::default() }, &peers).await;
        node.reaches(&TRUNK[24_999]).await;
        // What had come and was not verified yet at three kills, a window each at most, is fetched again.
        assert!(chain.given() < 25_000 + 3 * 7_000, "{}", chain.given());
        assert!(node.chain.seals_checked() < 25_000);
        node.kill(&network, 100).await;
    }
}
