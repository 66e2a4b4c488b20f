use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, timeout},
};

use super::*;

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

fn at(ip: IpAddr) -> SocketAddr {
    (ip, 30303).into()
}

async fn joined(network: &Network) -> (BoxedStream, BoxedStream, Box<dyn Listener>) {
    let mut listener = network.transport(B).listen(at(B)).await.unwrap();
    let ours = network.transport(A).dial(at(B)).await.unwrap();
    let (theirs, from) = listener.accept().await.unwrap();
    assert_eq!((from.ip(), ours.local_addr()), (A, Some(from)));
    (ours, theirs, listener)
}

#[tokio::test(start_paused = true)]
async fn bytes_take_their_time() {
    let network = Network::new(1);
    let link = LinkConfig { latency: Duration::from_millis(50), bandwidth: Some(1_000_000), ..LinkConfig::default() };
    network.set_link(link);
    let (mut ours, mut theirs, _listener) = joined(&network).await;
    let start = Instant::now();
    let writing = tokio::spawn(async move {
        ours.write_all(&vec![7; 1_000_000]).await.unwrap();
        ours
    });
    let mut got = vec![0; 1_000_000];
    theirs.read_exact(&mut got).await.unwrap();
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(1050) && took < Duration::from_millis(1100), "{took:?}");
    drop(writing.await.unwrap());
    assert_eq!(theirs.read(&mut got).await.unwrap(), 0);
    assert!(theirs.write_all(b"x").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_cut_holds_bytes_up_and_a_reset_loses_them() {
    let network = Network::new(1);
    let (mut ours, mut theirs, _listener) = joined(&network).await;
    network.partition(&[A], &[B]);
    ours.write_all(b"hello").await.unwrap();
    let mut got = [0; 5];
    assert!(timeout(Duration::from_secs(60), theirs.read_exact(&mut got)).await.is_err());
    let transport = network.transport(A);
    assert!(timeout(Duration::from_secs(60), transport.dial(at(B))).await.is_err());
    network.heal_all();
    theirs.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hello");
    network.cut(B);
    assert!(timeout(Duration::from_secs(60), theirs.read_exact(&mut got)).await.is_err());
    network.heal(B);
    network.reset(A);
    assert_eq!(theirs.read(&mut got).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(ours.write(b"x").await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    drop((ours, theirs));
    assert_eq!(network.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_a_reader() {
    let network = Network::new(1);
    let (mut ours, mut theirs, _listener) = joined(&network).await;
    let writing = ours.write_all(&[1; 1 << 20]);
    tokio::pin!(writing);
    assert!(timeout(Duration::from_secs(60), &mut writing).await.is_err());
    let mut got = vec![0; 1 << 20];
    let (written, read) = tokio::join!(writing, theirs.read_exact(&mut got));
    written.unwrap();
    read.unwrap();
}

#[tokio::test(start_paused = true)]
async fn ports_are_taken_and_given_back() {
    let network = Network::new(1);
    let host = network.transport(B);
    let error = network.transport(A).dial(at(B)).await.err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    let listener = host.listen(([0, 0, 0, 0], 30303).into()).await.unwrap();
    assert_eq!(listener.local_addr().unwrap(), at(B));
    assert_eq!(host.listen(at(B)).await.err().unwrap().kind(), io::ErrorKind::AddrInUse);
    assert_eq!(host.listen(at(A)).await.err().unwrap().kind(), io::ErrorKind::AddrNotAvailable);
    drop(listener);
    host.listen(at(B)).await.unwrap();
}

/// The same seed gives the same run, another seed another one.
#[tokio::test(start_paused = true)]
async fn chances_follow_from_the_seed() {
    async fn arrivals(seed: u64) -> Vec<Duration> {
        let network = Network::new(seed);
        let link = LinkConfig { jitter: Duration::from_millis(100), reset_probability: 0.02, ..LinkConfig::default() };
        network.set_link(link);
        let (mut ours, mut theirs, _listener) = joined(&network).await;
        let start = Instant::now();
        let mut arrivals = Vec::new();
        let mut byte = [0];
        while ours.write_all(b"x").await.is_ok() && theirs.read_exact(&mut byte).await.is_ok() {
            arrivals.push(start.elapsed());
        }
        arrivals
    }
    let first = arrivals(1).await;
    assert!(!first.is_empty());
    assert_eq!(arrivals(1).await, first);
    assert_ne!(arrivals(2).await, first);
}
