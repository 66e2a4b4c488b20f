//! When to dial whom. No I/O and no clock: `now` and randomness come in, peers to dial go out.

use std::{collections::HashMap, time::Duration};

use rand::Rng;
use tokio::time::Instant;

use super::config::{BACKOFF_MAX, BACKOFF_MIN, STABLE_AFTER};
use crate::{enode::Enode, id::PeerId, wire::DisconnectReason};

/// The peers to stay connected to.
#[derive(Default)]
pub(super) struct Dialer {
    targets: HashMap<PeerId, Target>,
}

struct Target {
    enode: Enode,
    wanted: Wanted,
    state: State,
    /// In a row, since the last session that lasted.
    failures: u32,
}

/// On which lists a peer stands.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted {
    pub(super) is_static: bool,
    pub(super) trusted: bool,
}

enum State {
    /// To be dialled from then on.
    Idle {
        from: Instant,
    },
    Dialing,
    /// Connected, either way.
    Connected {
        since: Instant,
    },
}

impl Dialer {
    /// Puts a peer on a list. One that waits is due at once.
    pub(super) fn add(&mut self, enode: Enode, list: impl Fn(&mut Wanted), now: Instant, connected: bool) {
        let fresh = if connected { State::Connected { since: now } } else { State::Idle { from: now } };
        let target = self.targets.entry(enode.id).or_insert_with(|| Target {
            enode: enode.clone(),
            wanted: Wanted::default(),
            state: fresh,
            failures: 0,
        });
        target.enode = enode;
        list(&mut target.wanted);
        if let State::Idle { from } = &mut target.state {
            *from = now;
            target.failures = 0;
        }
    }

    /// Takes a peer off a list, and forgets one that is on none. `false` if it was not on the list.
    pub(super) fn remove(&mut self, id: &PeerId, list: impl Fn(&mut Wanted) -> &mut bool) -> bool {
        let Some(target) = self.targets.get_mut(id) else { return false };
        let was = std::mem::take(list(&mut target.wanted));
        if !target.wanted.is_static && !target.wanted.trusted {
            self.targets.remove(id);
        }
        was
    }

    pub(super) fn wanted(&self, id: &PeerId) -> Wanted {
        self.targets.get(id).map(|target| target.wanted).unwrap_or_default()
    }

    pub(super) fn has_addr(&self, ip: std::net::IpAddr) -> bool {
        self.targets.values().any(|target| target.enode.addr.ip() == ip)
    }

    /// Takes a peer that is due and allowed, the one due longest first.
    pub(super) fn next(&mut self, now: Instant, allowed: impl Fn(&PeerId, Wanted) -> bool) -> Option<Enode> {
        let due = self.targets.iter_mut().filter_map(|(id, target)| match target.state {
            State::Idle { from } if from <= now && allowed(id, target.wanted) => Some((from, *id, target)),
            _ => None,
        });
        let (_, _, target) = due.min_by_key(|(from, id, _)| (*from, *id))?;
        target.state = State::Dialing;
        Some(target.enode.clone())
    }

    /// When the next peer that is not due yet will be. Those that are due wait for a slot, not for time.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let waiting = |target: &Target| match target.state {
            State::Idle { from } if from > now => Some(from),
            _ => None,
        };
        self.targets.values().filter_map(waiting).min()
    }

    pub(super) fn connected(&mut self, id: &PeerId, now: Instant) {
        if let Some(target) = self.targets.get_mut(id) {
            target.state = State::Connected { since: now };
        }
    }

    /// A dial or a session has ended. Gives the pause until the next dial, if there will be one.
    pub(super) fn ended(
        &mut self,
        id: &PeerId,
        reason: DisconnectReason,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Option<Duration> {
        let target = self.targets.get_mut(id)?;
        if let State::Connected { since } = target.state
            && now.duration_since(since) >= STABLE_AFTER
        {
            target.failures = 0;
        }
        let pause = if hopeless(reason) { jittered(BACKOFF_MAX, rng) } else { backoff(target.failures, rng) };
        target.failures = target.failures.saturating_add(1);
        target.state = State::Idle { from: now + pause };
        Some(pause)
    }
}

/// Reasons that a second attempt a moment later does not change.
fn hopeless(reason: DisconnectReason) -> bool {
    matches!(
        reason,
        DisconnectReason::UselessPeer
            | DisconnectReason::IncompatibleVersion
            | DisconnectReason::InvalidIdentity
            | DisconnectReason::UnexpectedIdentity
            | DisconnectReason::SelfConnect
    )
}

fn backoff(failures: u32, rng: &mut impl Rng) -> Duration {
    // 2^6 times the least is past the greatest.
    jittered((BACKOFF_MIN * 2u32.pow(failures.min(6))).min(BACKOFF_MAX), rng)
}

/// Between a half and the whole, so that nodes that lost each other at one moment do not come back at one moment.
fn jittered(pause: Duration, rng: &mut impl Rng) -> Duration {
    pause.mul_f64(rng.random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    fn enode(n: u8) -> Enode {
        Enode::new(PeerId([n; 64]), ([10, 0, 0, n], 30303).into())
    }

    fn add_static(dialer: &mut Dialer, n: u8, now: Instant) {
        dialer.add(enode(n), |wanted| wanted.is_static = true, now, false);
    }

    fn any(_: &PeerId, _: Wanted) -> bool {
        true
    }

    #[test]
    fn pauses_double_up_to_a_limit_with_jitter() {
        let (mut dialer, mut rng, mut now) = (Dialer::default(), StdRng::seed_from_u64(1), Instant::now());
        add_static(&mut dialer, 1, now);
        for failure in 0..10 {
            assert_eq!(dialer.next(now, any), Some(enode(1)), "failure {failure}");
            assert_eq!(dialer.next(now, any), None);
            let pause = dialer.ended(&enode(1).id, DisconnectReason::TcpError, now, &mut rng).unwrap();
            let whole = Duration::from_secs(1 << failure.min(6)).min(BACKOFF_MAX);
            assert!(pause >= whole / 2 && pause <= whole, "{pause:?} of {whole:?}");
            assert_eq!(dialer.next_due(now), Some(now + pause));
            assert_eq!(dialer.next(now + pause - Duration::from_millis(1), any), None);
            now += pause;
        }
    }

    #[test]
    fn a_session_that_lasted_starts_anew_and_a_short_one_does_not() {
        let (mut dialer, mut rng, now) = (Dialer::default(), StdRng::seed_from_u64(1), Instant::now());
        add_static(&mut dialer, 1, now);
        for _ in 0..5 {
            dialer.ended(&enode(1).id, DisconnectReason::TcpError, now, &mut rng);
        }
        dialer.connected(&enode(1).id, now);
        let pause = dialer.ended(&enode(1).id, DisconnectReason::TcpError, now + STABLE_AFTER / 2, &mut rng).unwrap();
        assert!(pause >= Duration::from_secs(16));
        dialer.connected(&enode(1).id, now);
        let pause = dialer.ended(&enode(1).id, DisconnectReason::TcpError, now + STABLE_AFTER, &mut rng).unwrap();
        assert!(pause <= Duration::from_secs(1));
    }

    #[test]
    fn what_is_hopeless_waits_longest() {
        let (mut dialer, mut rng, now) = (Dialer::default(), StdRng::seed_from_u64(1), Instant::now());
        add_static(&mut dialer, 1, now);
        let pause = dialer.ended(&enode(1).id, DisconnectReason::UselessPeer, now, &mut rng).unwrap();
        assert!(pause >= BACKOFF_MAX / 2);
    }

    #[test]
    fn lists_are_independent() {
        let (mut dialer, now) = (Dialer::default(), Instant::now());
        add_static(&mut dialer, 1, now);
        dialer.add(enode(1), |wanted| wanted.trusted = true, now, false);
        assert!(dialer.remove(&enode(1).id, |wanted| &mut wanted.is_static));
        assert!(!dialer.remove(&enode(1).id, |wanted| &mut wanted.is_static));
        assert!(dialer.wanted(&enode(1).id).trusted);
        assert_eq!(dialer.next(now, |_, wanted| !wanted.trusted), None);
        assert!(dialer.remove(&enode(1).id, |wanted| &mut wanted.trusted));
        assert_eq!(dialer.next(now, any), None);
        assert!(dialer.targets.is_empty());
    }

    #[test]
    fn adding_again_cuts_the_pause_short_and_moves_the_address() {
        let (mut dialer, mut rng, now) = (Dialer::default(), StdRng::seed_from_u64(1), Instant::now());
        add_static(&mut dialer, 1, now);
        assert!(dialer.next(now, any).is_some());
        dialer.ended(&enode(1).id, DisconnectReason::UselessPeer, now, &mut rng);
        assert_eq!(dialer.next(now, any), None);
        let moved = Enode::new(enode(1).id, ([10, 0, 0, 9], 1).into());
        dialer.add(moved.clone(), |wanted| wanted.is_static = true, now, false);
        assert_eq!(dialer.next(now, any), Some(moved));
    }
}
