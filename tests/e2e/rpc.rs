//! A JSON-RPC client over HTTP, one connection a call.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::process::{PATIENCE, Process};

/// A node's JSON-RPC.
#[derive(Clone)]
pub(crate) struct Rpc(pub(crate) String);

impl Rpc {
    /// The server that the process says it has started.
    pub(crate) fn of(process: &mut Process) -> Self {
        Self(process.logged("HTTP server started endpoint="))
    }

    /// The whole response.
    pub(crate) fn response(&self, method: &str, params: &Value) -> Value {
        self.post(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
    }

    /// The results of calls that must all succeed, asked for in batches.
    pub(crate) fn batch(&self, calls: &[(&str, Value)]) -> Vec<Value> {
        let batches = calls.chunks(500).flat_map(|calls| {
            let request = |(id, (method, params)): (usize, &(&str, Value))| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
            let answers = self.post(&calls.iter().enumerate().map(request).collect());
            let mut results = vec![None; calls.len()];
            for answer in answers.as_array().unwrap_or_else(|| panic!("{answers}")) {
                let id = usize::try_from(answer["id"].as_u64().expect("an id")).expect("one of ours");
                let (method, params) = &calls[id];
                let result = answer.get("result").unwrap_or_else(|| panic!("{method} {params}: {answer}"));
                results[id] = Some(result.clone());
            }
            results
        });
        batches.map(|result| result.expect("every call has its answer")).collect()
    }

    fn post(&self, body: &Value) -> Value {
        let body = body.to_string();
        let mut stream = TcpStream::connect(&self.0).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("sends");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    /// The result of a call that must succeed.
    pub(crate) fn call(&self, method: &str, params: Value) -> Value {
        let mut response = self.response(method, &params);
        assert!(response.get("error").is_none(), "{method} {params}: {response}");
        response["result"].take()
    }

    pub(crate) fn number(&self, method: &str, params: Value) -> u64 {
        number(&self.call(method, params))
    }

    /// Waits until the head has this number.
    pub(crate) fn reach(&self, head: u64, process: &Process) {
        let started = Instant::now();
        while self.number("eth_blockNumber", json!([])) < head {
            assert!(started.elapsed() < PATIENCE, "not at {head}: {:#?}", process.log());
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A `QUANTITY`.
pub(crate) fn number(value: &Value) -> u64 {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x")).unwrap_or_else(|| panic!("{value}"));
    u64::from_str_radix(digits, 16).unwrap_or_else(|error| panic!("{value}: {error}"))
}
