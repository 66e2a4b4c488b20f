//! Random trees of headers in random order, against a model that keeps everything in a map.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// A tree: each header has the position of its parent (0 is genesis), a kind of miner and a good or bad seal.
#[derive(Debug, Clone)]
struct Tree {
    headers: Vec<SealedHeader>,
    parents: Vec<usize>,
    bad: Vec<bool>,
}

#[derive(Debug, Clone)]
enum Action {
    /// Gives a header with up to so many of its ancestors.
    Extend {
        tip: usize,
        length: usize,
    },
    Settle {
        tip: usize,
    },
    Reopen,
}

fn tree(max: usize, bad_seals: bool) -> impl Strategy<Value = Tree> {
    // Mostly growing at the last header, so that the tree has long branches.
    let node = (prop_oneof![3 => Just(0usize), 1 => 1..12usize], 0..3u64, prop::bool::weighted(0.06));
    prop::collection::vec(node, 1..max).prop_map(move |nodes| {
        let mut tree = Tree { headers: vec![genesis()], parents: vec![0], bad: vec![false] };
        for (index, (back, speed, bad)) in nodes.into_iter().enumerate() {
            let parent = index.saturating_sub(back);
            let bad = bad && bad_seals;
            let mut miner = miner(index as u8);
            miner.interval = [1, 13, 40][speed as usize];
            let header = if bad {
                chain_with_bad_seal(&miner, &tree.headers[parent], 1, 0).remove(0)
            } else {
                miner.header(&tree.headers[parent])
            };
            tree.headers.push(header);
            tree.parents.push(parent);
            tree.bad.push(bad);
        }
        tree
    })
}

fn actions(max: usize) -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        6 => (1..max, 1..12usize).prop_map(|(tip, length)| Action::Extend { tip, length }),
        3 => (1..max).prop_map(|tip| Action::Settle { tip }),
        1 => Just(Action::Reopen),
    ];
    prop::collection::vec(action, 1..60)
}

/// What is known, by position in the tree.
struct Model<'a> {
    tree: &'a Tree,
    policy: SealPolicy,
    known: HashMap<usize, Known>,
    td: Vec<U256>,
    head: usize,
}

impl<'a> Model<'a> {
    fn new(tree: &'a Tree, policy: SealPolicy) -> Model<'a> {
        let mut td = vec![tree.headers[0].difficulty];
        for index in 1..tree.headers.len() {
            td.push(td[tree.parents[index]] + tree.headers[index].difficulty);
        }
        Model { tree, policy, known: HashMap::from([(0, Known::Accepted)]), td, head: 0 }
    }

    fn known(&self, index: usize) -> Known {
        self.known.get(&index).copied().unwrap_or(Known::Unknown)
    }

    fn accept(&mut self, path: &[usize]) {
        for index in path {
            self.known.insert(*index, Known::Accepted);
        }
        if let Some(tip) = path.last()
            && self.td[*tip] > self.td[self.head]
        {
            self.head = *tip;
        }
    }

    /// Whether the batch is taken.
    fn extend(&mut self, path: &[usize]) -> bool {
        let new: Vec<usize> = path.iter().copied().skip_while(|index| self.known(*index) != Known::Unknown).collect();
        let Some(first) = new.first() else { return true };
        let parent = self.known(self.tree.parents[*first]);
        let at_once = self.policy == SealPolicy::All || (new.len() == 1 && parent == Known::Accepted);
        if parent == Known::Unknown || (at_once && new.iter().any(|index| self.tree.bad[*index])) {
            return false;
        }
        if at_once {
            self.accept(&new);
        } else {
            self.known.extend(new.iter().map(|index| (*index, Known::Provisional)));
        }
        true
    }

    fn settle(&mut self, tip: usize) -> bool {
        if self.known(tip) == Known::Unknown {
            return false;
        }
        let mut path = Vec::new();
        let mut index = tip;
        while self.known(index) == Known::Provisional {
            path.push(index);
            index = self.tree.parents[index];
        }
        path.reverse();
        if path.iter().any(|index| self.tree.bad[*index]) {
            self.drop_from(path[0]);
            return false;
        }
        self.accept(&path);
        true
    }

    fn drop_from(&mut self, root: usize) {
        let mut gone = vec![false; self.tree.headers.len()];
        gone[root] = true;
        for index in root + 1..gone.len() {
            gone[index] = gone[self.tree.parents[index]];
        }
        self.known.retain(|index, _| !gone[*index]);
    }

    fn compare(&self, chain: &HeaderChain) {
        let headers = &self.tree.headers;
        assert_eq!(chain.head(), Head { header: headers[self.head].clone(), td: self.td[self.head] });
        let mut canonical = vec![self.head];
        while let Some(index) = canonical.last()
            && *index != 0
        {
            canonical.push(self.tree.parents[*index]);
        }
        for (index, header) in headers.iter().enumerate() {
            let hash = header.hash_ref();
            let known = self.known(index);
            assert_eq!(chain.known(hash), known, "{index}");
            let accepted = known == Known::Accepted;
            assert_eq!(chain.header(hash), accepted.then(|| header.clone()));
            assert_eq!(chain.td(hash), accepted.then(|| self.td[index]));
            assert_eq!(chain.is_canonical(hash), canonical.contains(&index));
            let mut before = Vec::new();
            let mut ancestor = index;
            while accepted && ancestor != 0 {
                ancestor = self.tree.parents[ancestor];
                before.push(headers[ancestor].hash());
            }
            assert_eq!(chain.hashes_before(hash, 100), before);
            before.truncate(3);
            assert_eq!(chain.hashes_before(hash, 3), before);
        }
        // All at once, in an order of no chain, with one that nobody knows.
        let hashes: Vec<_> = headers.iter().map(SealedHeader::hash).chain([B256::repeat_byte(0xee)]).collect();
        let served = chain.raw_headers(&hashes);
        let expected: Vec<_> = hashes.iter().map(|hash| chain.raw_header(hash)).collect();
        assert_eq!(served, expected);
        assert_eq!(chain.raw_headers(&hashes[hashes.len() - 1..]), [None]);
        let mut numbers: Vec<_> = canonical.iter().map(|index| headers[*index].hash()).collect();
        numbers.reverse();
        for (number, hash) in numbers.iter().enumerate() {
            assert_eq!(chain.canonical_hash(number as u64), Some(*hash));
        }
        assert_eq!(chain.canonical_hash(numbers.len() as u64), None);
        let heaviest = self.known.iter().filter(|(_, known)| **known == Known::Provisional).map(|(index, _)| *index);
        let heaviest = heaviest.map(|index| self.td[index]).max();
        assert_eq!(chain.provisional().map(|progress| progress.td), heaviest);
    }
}

fn run(tree: &Tree, actions: &[Action], policy: SealPolicy, rewrite: u64) {
    let limits = Limits { rewrite, provisional: 1000, side_branches: 1000, ..Limits::default() };
    let mut rig = Rig::with(policy, limits, Arc::new(MemoryStore::new()));
    let mut model = Model::new(tree, policy);
    for action in actions {
        match action {
            Action::Extend { tip, length } => {
                let mut path = vec![tip % tree.headers.len()];
                while path.len() < *length && path[path.len() - 1] != 0 {
                    path.push(tree.parents[path[path.len() - 1]]);
                }
                path.reverse();
                let headers: Vec<_> = path.iter().map(|index| tree.headers[*index].clone()).collect();
                assert_eq!(rig.extend(&headers).is_ok(), model.extend(&path), "{action:?}");
            }
            Action::Settle { tip } => {
                let tip = tip % tree.headers.len();
                assert_eq!(rig.settle(&tree.headers[tip]).is_ok(), model.settle(tip), "{action:?}");
            }
            Action::Reopen => rig = rig.reopen(),
        }
        model.compare(&rig.chain);
    }
}

/// What a chain that thins itself still knows. It is always given whole paths, as it may have forgotten any of them.
fn run_thinned(tree: &Tree, actions: &[Action], policy: SealPolicy, rewrite: u64, keep: u64, spacing: u64) {
    let limits = Limits { rewrite, provisional: 1000, side_branches: 1000, spacing };
    let mut rig = Rig::retaining(Retain::Last(keep), policy, limits, Arc::new(MemoryStore::new()));
    let mut model = Model::new(tree, policy);
    let mut highest = 0;
    for action in actions {
        match action {
            Action::Extend { tip, .. } | Action::Settle { tip } => {
                let mut path = vec![tip % tree.headers.len()];
                while path[path.len() - 1] != 0 {
                    path.push(tree.parents[path[path.len() - 1]]);
                }
                path.reverse();
                let headers: Vec<_> = path.iter().map(|index| tree.headers[*index].clone()).collect();
                let taken = (rig.extend(&headers).is_ok(), model.extend(&path));
                if policy == SealPolicy::All {
                    assert_eq!(taken.0, taken.1, "{action:?}");
                } else {
                    // What one takes as the next header may be a stretch to the other: both come to the same in the end.
                    let tip = path[path.len() - 1];
                    let settled = rig.settle(&tree.headers[tip]).is_ok();
                    assert_eq!(settled, model.settle(tip), "{action:?}");
                }
            }
            Action::Reopen => rig = rig.reopen(),
        }
        audit(&rig.chain);
        let chain = &rig.chain;
        assert_eq!(chain.head(), Head { header: tree.headers[model.head].clone(), td: model.td[model.head] });
        highest = highest.max(chain.head().header.number);
        let mut index = model.head;
        let mut above = None;
        loop {
            let (number, hash) = (tree.headers[index].number, tree.headers[index].hash());
            let held = chain.canonical_hash(number);
            if number.is_multiple_of(spacing) || number + keep > highest {
                assert!(held.is_some(), "{number}");
            }
            if held.is_some() {
                assert_eq!((held, chain.td(&hash)), (Some(hash), Some(model.td[index])));
                above = Some((number, hash));
            } else {
                assert!(!chain.is_canonical(&hash));
            }
            let (anchor, anchor_hash) = chain.anchor_above(number).unwrap();
            assert!(anchor - number < spacing && chain.is_canonical(&anchor_hash));
            // Where a branch hangs between two anchors, the one above is named all the same.
            assert!(above.is_some_and(|(above, _)| above <= anchor));
            if index == 0 {
                break;
            }
            index = tree.parents[index];
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn all_seals_like_the_model(
        tree in tree(40, true),
        actions in actions(40),
        rewrite in prop_oneof![Just(0), Just(4), Just(1024u64)],
    ) {
        run(&tree, &actions, SealPolicy::All, rewrite);
    }

    #[test]
    fn sampled_seals_like_the_model(
        tree in tree(40, true),
        actions in actions(40),
        rewrite in prop_oneof![Just(0), Just(4), Just(1024u64)],
    ) {
        run(&tree, &actions, SealPolicy::Sampled, rewrite);
    }

    #[test]
    fn a_thinned_chain_has_the_head_of_one_that_keeps_everything(
        tree in tree(60, true),
        actions in actions(60),
        policy in prop_oneof![Just(SealPolicy::All), Just(SealPolicy::Sampled)],
        rewrite in prop_oneof![Just(0), Just(4), Just(1024u64)],
        keep in 1..12u64,
        spacing in 2..7u64,
    ) {
        run_thinned(&tree, &actions, policy, rewrite, keep, spacing);
    }
}
