//! Penalties as data, and what they add up to: a pure scoreboard for one peer.

use std::time::Duration;

use rushlight_p2p::DisconnectReason;
use tokio::time::Instant;

/// The score below which a peer is sent away and banned. A new peer has 0; nothing raises it above.
pub const BAN_BELOW: f64 = -100.0;
/// How long a banned peer is sent away when it comes back: long enough to not be a nuisance, short enough that an
/// operator who repaired a node need not wait for an hour.
pub const BAN_TIME: Duration = Duration::from_secs(600);
/// The score a peer has when its ban ends: one more heavy fault and it goes again.
pub const AFTER_BAN: f64 = -60.0;
/// Points a peer gains back a second, up to 0: an hour forgives a hundred, so rare hiccups never add up to a ban.
pub const HEAL_PER_SECOND: f64 = 100.0 / 3600.0;

/// What a peer did wrong. The weight is what it costs of the 100 points that a peer can lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Penalty {
    /// Broke the protocol's rules; its session ended over it.
    Breach,
    /// Claimed a total difficulty or a best block that its chain did not bear out.
    FalseClaim,
    /// Gave a header that breaks a consensus rule or has a false seal.
    BadHeader,
    /// Gave a block that breaks a consensus rule.
    BadBlock,
    /// Gave a body that does not fit its header.
    BadBody,
    /// Gave headers, or hashes of headers, that do not link to the one that was named.
    UnlinkedHeaders,
    /// Announced a true block under a false total difficulty.
    BadTotalDifficulty,
    /// Gave hashes that link to nothing, without end.
    FloodedHashes,
    /// Kept back what it had promised until the work was given to others.
    Stalled,
    /// Did not answer a look-up in time.
    LookupTimeout,
    /// Sent a transaction that no chain takes: without a sender, or with blobs that are not what they are said to be.
    BadTransaction,
    /// Repeated a transaction in one session.
    RepeatedTransaction,
}

impl Penalty {
    /// The name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Breach => "protocol breach",
            Self::FalseClaim => "false claim",
            Self::BadHeader => "bad header",
            Self::BadBlock => "bad block",
            Self::BadBody => "bad body",
            Self::UnlinkedHeaders => "unlinked headers",
            Self::BadTotalDifficulty => "bad total difficulty",
            Self::FloodedHashes => "flood of hashes",
            Self::Stalled => "stalled",
            Self::LookupTimeout => "look-up timed out",
            Self::BadTransaction => "bad transaction",
            Self::RepeatedTransaction => "repeated transaction",
        }
    }

    /// The points it costs. What only malice or a broken client explains is banned for at the first or the second
    /// time; what a bad link explains takes many in a row.
    pub const fn weight(self) -> f64 {
        match self {
            Self::BadHeader | Self::BadBlock => 101.0,
            Self::FalseClaim | Self::FloodedHashes | Self::BadBody | Self::UnlinkedHeaders => 51.0,
            Self::Breach => 35.0,
            Self::BadTotalDifficulty | Self::BadTransaction => 25.0,
            Self::Stalled => 15.0,
            Self::LookupTimeout => 8.0,
            Self::RepeatedTransaction => 1.0,
        }
    }

    /// The reason given on disconnecting, when this penalty is the last straw.
    pub const fn reason(self) -> DisconnectReason {
        match self {
            Self::Breach => DisconnectReason::BreachOfProtocol,
            Self::Stalled | Self::LookupTimeout => DisconnectReason::PingTimeout,
            Self::FalseClaim
            | Self::BadHeader
            | Self::BadBlock
            | Self::BadBody
            | Self::UnlinkedHeaders
            | Self::BadTotalDifficulty
            | Self::FloodedHashes
            | Self::BadTransaction
            | Self::RepeatedTransaction => DisconnectReason::SubprotocolError,
        }
    }
}

/// One peer's standing. It outlives its sessions, within the process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    score: f64,
    at: Instant,
    banned_until: Option<Instant>,
}

impl Standing {
    pub(super) fn new(now: Instant) -> Self {
        Self { score: 0.0, at: now, banned_until: None }
    }

    /// The score now, healed for the time since the last fault.
    pub(super) fn score(&self, now: Instant) -> f64 {
        let healed = now.saturating_duration_since(self.at).as_secs_f64() * HEAL_PER_SECOND;
        (self.score + healed).min(0.0)
    }

    /// Takes the weight off; true when this bans the peer.
    pub(super) fn penalise(&mut self, penalty: Penalty, now: Instant) -> bool {
        if self.banned(now) {
            return false;
        }
        self.score = self.score(now) - penalty.weight();
        self.at = now;
        if self.score >= BAN_BELOW {
            return false;
        }
        let until = now + BAN_TIME;
        (self.score, self.at, self.banned_until) = (AFTER_BAN, until, Some(until));
        true
    }

    pub(super) fn banned(&self, now: Instant) -> bool {
        self.banned_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_add_up_and_time_heals() {
        let start = Instant::now();
        let mut standing = Standing::new(start);
        assert!(!standing.penalise(Penalty::FalseClaim, start));
        assert_eq!(standing.score(start), -51.0);
        let later = start + Duration::from_secs(3600);
        assert_eq!(standing.score(later), 0.0);
        assert!(!standing.penalise(Penalty::FalseClaim, later));
        assert!(standing.penalise(Penalty::FalseClaim, later));
        assert!(standing.banned(later));
        assert!(!standing.banned(later + BAN_TIME));
        assert_eq!(standing.score(later + BAN_TIME), AFTER_BAN);
    }

    #[test]
    fn a_bad_header_bans_at_once_and_a_ban_is_not_prolonged() {
        let now = Instant::now();
        let mut standing = Standing::new(now);
        assert!(standing.penalise(Penalty::BadHeader, now));
        assert!(!standing.penalise(Penalty::BadHeader, now));
        assert!(!standing.banned(now + BAN_TIME));
    }

    #[test]
    fn slow_links_are_no_liars() {
        let mut now = Instant::now();
        let mut standing = Standing::new(now);
        for _ in 0..100 {
            now += Duration::from_secs(300);
            assert!(!standing.penalise(Penalty::LookupTimeout, now));
        }
    }
}
