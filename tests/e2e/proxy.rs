//! A TCP proxy that passes on so many bytes towards its callers, all connections together, and then is silent without
//! hanging up, until it is given more.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    left: Arc<AtomicUsize>,
}

impl Proxy {
    /// Passes on so many bytes more.
    pub(crate) fn give(&self, more: usize) {
        self.left.fetch_add(more, Ordering::SeqCst);
    }
}

/// Listens on loopback, and joins each caller to `target`.
pub(crate) fn start(target: SocketAddr, most: usize) -> Proxy {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let addr = listener.local_addr().expect("an address");
    let left = Arc::new(AtomicUsize::new(most));
    let proxy = Proxy { addr, left: left.clone() };
    // The threads end with the test process.
    thread::spawn(move || {
        for caller in listener.incoming().map_while(Result::ok) {
            let Ok(callee) = TcpStream::connect(target) else { return };
            let (from, to) = (caller.try_clone().expect("a clone"), callee.try_clone().expect("a clone"));
            thread::spawn(move || pass(from, to, &AtomicUsize::new(usize::MAX)));
            let left = left.clone();
            thread::spawn(move || pass(callee, caller, &left));
        }
    });
    proxy
}

fn pass(mut from: TcpStream, mut to: TcpStream, left: &AtomicUsize) {
    let mut buffer = [0; 16 * 1024];
    loop {
        let room = buffer.len().min(left.load(Ordering::SeqCst));
        if room == 0 {
            // Silent, not gone.
            thread::sleep(Duration::from_secs(1));
            continue;
        }
        let Ok(count) = from.read(&mut buffer[..room]) else { return };
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            return;
        }
        left.fetch_sub(count, Ordering::SeqCst);
    }
}
