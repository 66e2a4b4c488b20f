//! The task of one connection, from dialling or accepting it to its end.

use std::{net::SocketAddr, sync::Arc};

use rand::rngs::StdRng;
use secp256k1::SecretKey;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task,
    time::timeout,
};

use super::config::DIAL_TIMEOUT;
use crate::{
    enode::Enode,
    id::PeerId,
    protocol::{Peer, PeerState, Protocol},
    session::{self, Connected, Ended, Phase, SessionError},
    transport::{BoxedStream, Transport},
    wire::{DisconnectReason, Hello, Offered},
};

/// What every connection of a server needs.
pub(super) struct Common {
    pub(super) key: SecretKey,
    pub(super) hello: Hello,
    pub(super) protocols: Vec<Arc<dyn Protocol>>,
    pub(super) offered: Vec<Offered>,
    pub(super) transport: Arc<dyn Transport>,
    /// To the loop.
    pub(super) questions: mpsc::Sender<Question>,
}

/// May the connection go on? The error is the reason to give to the peer.
pub(super) type Verdict = Result<(), DisconnectReason>;

/// What a connection asks the loop.
pub(super) enum Question {
    /// The peer says who it is; whether it says the truth shows with its first frame.
    Check { conn: task::Id, id: PeerId, reply: oneshot::Sender<Verdict> },
    /// The peer is who it says, and has something to say.
    Admit { conn: task::Id, peer: Peer, reply: oneshot::Sender<Verdict> },
}

/// How a connection came about.
pub(super) enum Origin {
    Dial(Enode),
    Accepted(BoxedStream, SocketAddr),
}

/// What became of a connection.
pub(super) enum Outcome {
    /// It did not become a session.
    Failed(SessionError),
    /// It was one.
    Ended(Ended),
}

pub(super) async fn connection(common: Arc<Common>, origin: Origin, rng: StdRng) -> Outcome {
    match set_up(&common, origin, rng).await {
        Ok((ready, peer)) => Outcome::Ended(session::run(ready, peer).await),
        Err(error) => Outcome::Failed(error),
    }
}

async fn set_up(common: &Common, origin: Origin, mut rng: StdRng) -> Result<(session::Ready, Peer), SessionError> {
    let inbound = matches!(origin, Origin::Accepted(..));
    let (encrypted, remote_addr) = match origin {
        Origin::Dial(enode) => {
            let dialled = timeout(DIAL_TIMEOUT, common.transport.dial(enode.addr)).await;
            let stream = dialled.map_err(|_| SessionError::Timeout(Phase::Dial))??;
            (Connected::new(stream).initiate(&common.key, enode.id, &mut rng).await?, enode.addr)
        }
        Origin::Accepted(stream, addr) => (Connected::new(stream).accept(&common.key, &mut rng).await?, addr),
    };
    let (conn, id) = (task::id(), encrypted.remote());
    if let Err(reason) = common.ask(|reply| Question::Check { conn, id, reply }).await {
        encrypted.refuse(reason).await;
        return Err(SessionError::Local(reason));
    }
    let ready = encrypted.hello(&common.hello).await?.share(&common.offered).await?;
    let peer = Peer::new(PeerState {
        id,
        client: ready.hello.client_id.clone(),
        remote_addr,
        local_addr: ready.local_addr,
        inbound,
        is_static: false.into(),
        trusted: false.into(),
        capabilities: ready.hello.capabilities.clone(),
        protocols: ready.shared.iter().map(|shared| common.protocols[shared.index].clone()).collect(),
        disconnect: watch::Sender::new(None),
    });
    let question = |reply| Question::Admit { conn, peer: peer.clone(), reply };
    if let Err(reason) = common.ask(question).await {
        ready.refuse(reason).await;
        return Err(SessionError::Local(reason));
    }
    Ok((ready, peer))
}

impl Common {
    /// A loop that is gone has shut down.
    async fn ask(&self, question: impl FnOnce(oneshot::Sender<Verdict>) -> Question) -> Verdict {
        let (reply, answer) = oneshot::channel();
        self.questions.send(question(reply)).await.map_err(|_| DisconnectReason::ClientQuitting)?;
        answer.await.unwrap_or(Err(DisconnectReason::ClientQuitting))
    }
}
