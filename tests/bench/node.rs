//! The node as a process: started, watched, asked, stopped.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// A running `rushlight`; killed when dropped.
pub(crate) struct Node {
    child: Child,
    pub(crate) started: Instant,
    stderr: mpsc::Receiver<String>,
    log: Vec<String>,
}

impl Node {
    /// Starts it with its stdout's first line, where one is asked for.
    pub(crate) fn start(args: &[&str], want_line: bool) -> (Node, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rushlight"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rushlight starts");
        let started = Instant::now();
        let (lines, stderr) = mpsc::channel();
        let pipe = BufReader::new(child.stderr.take().expect("piped"));
        thread::spawn(move || pipe.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut node = Node { child, started, stderr, log: Vec::new() };
        let mut line = String::new();
        if want_line {
            stdout.read_line(&mut line).expect("stdout");
            assert!(line.starts_with("enode://"), "no enode URL but {line:?}; log: {:#?}", node.log());
        }
        thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
        (node, line.trim().to_owned())
    }

    /// What it has logged so far.
    pub(crate) fn log(&mut self) -> &[String] {
        self.log.extend(self.stderr.try_iter());
        &self.log
    }

    /// A field of /proc/PID/status in MB, such as VmHWM (peak) or VmRSS (now).
    pub(crate) fn memory(&self, field: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a running process");
        let line = status.lines().find(|line| line.starts_with(field)).expect("a field of /proc/PID/status");
        let kb: f64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number of kB");
        kb / 1024.0
    }

    /// Processor seconds so far, user and system.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("a running process");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
        // utime and stime, in ticks of 1/100 s.
        (11..=12).map(|i| fields[i].parse::<f64>().expect("a number of ticks")).sum::<f64>() / 100.0
    }

    /// Ends it as an operator would.
    pub(crate) fn stop(mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port of the loopback interface.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

/// A JSON-RPC client over one connection, so that its own cost is small.
pub(crate) struct Rpc {
    stream: BufReader<TcpStream>,
}

impl Rpc {
    /// Connects once the node listens.
    pub(crate) fn connect(port: u16, patience: Duration) -> Rpc {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let end = Instant::now() + patience;
        loop {
            match TcpStream::connect(address) {
                Ok(stream) => {
                    stream.set_nodelay(true).expect("a socket option");
                    return Rpc { stream: BufReader::new(stream) };
                }
                Err(e) => assert!(Instant::now() < end, "no JSON-RPC on port {port}: {e}"),
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The whole response.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.stream.get_mut().write_all((head + &body).as_bytes()).expect("a request goes out");
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            self.stream.read_line(&mut line).expect("a response");
            let header = line.trim().to_ascii_lowercase();
            if let Some(n) = header.strip_prefix("content-length:") {
                length = n.trim().parse().expect("a length");
            }
            if header.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("a whole response");
        serde_json::from_slice(&body).expect("JSON")
    }

    /// A result; an error ends the benchmark.
    pub(crate) fn result(&mut self, method: &str, params: Value) -> Value {
        let mut response = self.call(method, params);
        assert!(response.get("error").is_none(), "{method}: {response}");
        response["result"].take()
    }

    /// Waits until the head is at `number`.
    pub(crate) fn wait_for_head(&mut self, number: u64, patience: Duration) {
        let want = json!(format!("{number:#x}"));
        let end = Instant::now() + patience;
        while self.result("eth_blockNumber", json!([])) != want {
            assert!(Instant::now() < end, "block {number} not reached in {patience:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The bytes of every file below a folder.
pub(crate) fn disk(folder: &Path) -> u64 {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => disk(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
