//! Networks in memory, for tests and simulations: many servers in one process, on tokio's virtual time.
//!
//! A [`Network`] joins [`Transport`]s, one a host. Bytes take time (latency, jitter, bandwidth), connections break at
//! random, hosts are cut off and come back. With a current-thread runtime and a paused clock the same seed gives the
//! same run.

mod pipe;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures::future::BoxFuture;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::{sync::mpsc, time::sleep};

use crate::transport::{BoxedStream, Listener, Transport};
use pipe::Connection;

/// Connections that wait to be accepted, as a system's backlog; further ones are refused.
const BACKLOG: usize = 128;

/// How often an unanswered dial tries again while its way is cut.
const DIAL_RETRY: Duration = Duration::from_secs(1);

/// The first port given to those who do not ask for one.
const FIRST_FREE_PORT: u16 = 32768;

/// What a way between two hosts is like, in each direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkConfig {
    /// One way.
    pub latency: Duration,
    /// Up to this much more latency for each write, at random. Bytes never overtake each other.
    pub jitter: Duration,
    /// Bytes a second for each connection; `None` for no limit.
    pub bandwidth: Option<u64>,
    /// The chance, 0 to 1, that a write breaks its connection.
    pub reset_probability: f64,
}

impl Default for LinkConfig {
    /// A millisecond each way and nothing in the way.
    fn default() -> LinkConfig {
        LinkConfig {
            latency: Duration::from_millis(1),
            jitter: Duration::ZERO,
            bandwidth: None,
            reset_probability: 0.0,
        }
    }
}

/// A network in memory. Cheap to clone.
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

struct State {
    rng: StdRng,
    link: LinkConfig,
    links: HashMap<(IpAddr, IpAddr), LinkConfig>,
    /// Hosts that reach nobody.
    isolated: BTreeSet<IpAddr>,
    /// Pairs of hosts, the smaller first, that do not reach each other.
    parted: BTreeSet<(IpAddr, IpAddr)>,
    listeners: BTreeMap<SocketAddr, mpsc::Sender<(BoxedStream, SocketAddr)>>,
    connections: Vec<Weak<Connection>>,
    next_port: u16,
}

fn pair(a: IpAddr, b: IpAddr) -> (IpAddr, IpAddr) {
    (a.min(b), a.max(b))
}

impl State {
    fn is_cut(&self, a: IpAddr, b: IpAddr) -> bool {
        self.isolated.contains(&a) || self.isolated.contains(&b) || self.parted.contains(&pair(a, b))
    }

    fn link(&self, a: IpAddr, b: IpAddr) -> LinkConfig {
        self.links.get(&pair(a, b)).copied().unwrap_or(self.link)
    }

    fn open_connections(&mut self) -> Vec<Arc<Connection>> {
        self.connections.retain(|connection| connection.strong_count() > 0);
        self.connections.iter().filter_map(Weak::upgrade).collect()
    }

    fn update_cuts(&mut self) {
        for connection in self.open_connections() {
            let (a, b) = connection.hosts();
            connection.set_cut(self.is_cut(a, b));
        }
    }

    fn free_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(FIRST_FREE_PORT);
        port
    }
}

impl Network {
    /// A network whose chances follow from `seed`.
    pub fn new(seed: u64) -> Network {
        Network(Arc::new(Mutex::new(State {
            rng: StdRng::seed_from_u64(seed),
            link: LinkConfig::default(),
            links: HashMap::new(),
            isolated: BTreeSet::new(),
            parted: BTreeSet::new(),
            listeners: BTreeMap::new(),
            connections: Vec::new(),
            next_port: FIRST_FREE_PORT,
        })))
    }

    /// Held for a few lines each time and never while another lock is asked for from within a connection.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What ways are like from now on, unless [`Network::set_link_between`] says otherwise. Open connections keep theirs.
    pub fn set_link(&self, link: LinkConfig) {
        self.state().link = link;
    }

    /// What the way between two hosts is like from now on. Open connections keep theirs.
    pub fn set_link_between(&self, a: IpAddr, b: IpAddr, link: LinkConfig) {
        self.state().links.insert(pair(a, b), link);
    }

    /// A host's transport. It listens on its own address, also where asked for an unspecified one.
    pub fn transport(&self, ip: IpAddr) -> Arc<dyn Transport> {
        Arc::new(Host { network: self.clone(), ip })
    }

    /// Cuts a host off: bytes stay on their way, and dials are not answered, until [`Network::heal`].
    pub fn cut(&self, ip: IpAddr) {
        let mut state = self.state();
        state.isolated.insert(ip);
        state.update_cuts();
    }

    /// Ends what [`Network::cut`] began. What was held up arrives now.
    pub fn heal(&self, ip: IpAddr) {
        let mut state = self.state();
        state.isolated.remove(&ip);
        state.update_cuts();
    }

    /// Cuts every way between the two groups, until [`Network::heal_all`].
    pub fn partition(&self, these: &[IpAddr], those: &[IpAddr]) {
        let mut state = self.state();
        for (&a, &b) in these.iter().flat_map(|a| those.iter().map(move |b| (a, b))) {
            state.parted.insert(pair(a, b));
        }
        state.update_cuts();
    }

    /// Ends every cut and partition.
    pub fn heal_all(&self) {
        let mut state = self.state();
        state.isolated.clear();
        state.parted.clear();
        state.update_cuts();
    }

    /// Breaks every connection of a host, at both ends at once.
    pub fn reset(&self, ip: IpAddr) {
        for connection in self.state().open_connections() {
            let (a, b) = connection.hosts();
            if a == ip || b == ip {
                connection.reset();
            }
        }
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.state().open_connections().len()
    }
}

struct Host {
    network: Network,
    ip: IpAddr,
}

impl Transport for Host {
    fn listen(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            if !addr.ip().is_unspecified() && addr.ip() != self.ip {
                return Err(io::ErrorKind::AddrNotAvailable.into());
            }
            let mut state = self.network.state();
            let port = if addr.port() == 0 { state.free_port() } else { addr.port() };
            let addr = SocketAddr::new(self.ip, port);
            if state.listeners.contains_key(&addr) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            let (sender, incoming) = mpsc::channel(BACKLOG);
            state.listeners.insert(addr, sender);
            drop(state);
            let listener = MemoryListener { network: self.network.clone(), addr, incoming };
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }

    fn dial(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<BoxedStream>> {
        Box::pin(async move {
            let link = self.network.state().link(self.ip, addr.ip());
            // There and back again, before either side can say anything.
            sleep(link.latency * 2).await;
            while self.network.state().is_cut(self.ip, addr.ip()) {
                sleep(DIAL_RETRY).await;
            }
            let mut state = self.network.state();
            let local = SocketAddr::new(self.ip, state.free_port());
            let listener = state.listeners.get(&addr).cloned().ok_or(io::ErrorKind::ConnectionRefused)?;
            let (ours, theirs, connection) = pipe::connect(local, addr, link, state.rng.random());
            listener
                .try_send((Box::new(theirs), local))
                .map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            state.connections.push(connection);
            Ok(Box::new(ours) as BoxedStream)
        })
    }
}

struct MemoryListener {
    network: Network,
    addr: SocketAddr,
    incoming: mpsc::Receiver<(BoxedStream, SocketAddr)>,
}

impl Listener for MemoryListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxedStream, SocketAddr)>> {
        Box::pin(async move { self.incoming.recv().await.ok_or_else(|| io::ErrorKind::NotConnected.into()) })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.network.state().listeners.remove(&self.addr);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
