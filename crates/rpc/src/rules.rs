//! What surrounds every call: geth's error messages, batch limits and the deadline, as a layer around jsonrpsee's
//! own dispatch.

use std::{collections::HashSet, future::Future, sync::Arc};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, ready},
    stream,
};
use jsonrpsee::{
    core::middleware::{Batch, BatchEntry, Notification, RpcServiceT},
    server::{BatchResponseBuilder, MethodResponse},
    types::{Id, InvalidRequest, Request, error::OVERSIZED_RESPONSE_CODE},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use crate::{
    config::{BATCH_WIDTH, CALL_TIMEOUT, MAX_METHOD_NAME},
    error,
};

/// Bounds of one server, shared by its connections.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Every method that exists here, of the modules that are on.
    pub(crate) methods: HashSet<&'static str>,
    /// Longest text in bytes.
    pub(crate) max_request: usize,
    pub(crate) max_batch: usize,
    pub(crate) max_response: usize,
}

/// The layer itself.
#[derive(Debug, Clone)]
pub(crate) struct Rules<S> {
    pub(crate) inner: S,
    pub(crate) limits: Arc<Limits>,
}

type Answer = MethodResponse;

impl<S> Rules<S>
where
    S: RpcServiceT<MethodResponse = Answer, BatchResponse = Answer, NotificationResponse = Answer>
        + Clone
        + Send
        + Sync
        + 'static,
{
    async fn answer(self, request: Request<'_>, deadline: Instant) -> Answer {
        let id = request.id().into_owned();
        let method = request.method_name();
        if method.len() > MAX_METHOD_NAME {
            return MethodResponse::error(id, error::method_name_too_long(method.len()));
        }
        if !self.limits.methods.contains(method) {
            return MethodResponse::error(id, error::method_not_found(method));
        }
        match timeout_at(deadline, self.inner.call(request)).await {
            Err(_) => MethodResponse::error(id, error::timed_out()),
            Ok(answer) if answer.as_error_code() == Some(OVERSIZED_RESPONSE_CODE) => {
                MethodResponse::error(id, error::response_too_large())
            }
            Ok(answer) => answer,
        }
    }

    async fn answer_batch(self, batch: Batch<'_>) -> Answer {
        let deadline = Instant::now() + CALL_TIMEOUT;
        if batch.is_empty() {
            return MethodResponse::error(Id::Null, error::empty_batch());
        }
        if batch.len() > self.limits.max_batch {
            // The first call's id stands for the batch, as in geth: there is no way to name all of it.
            let id = batch.iter().find_map(|entry| match entry {
                Ok(BatchEntry::Call(request)) => Some(request.id().into_owned()),
                _ => None,
            });
            return array(vec![MethodResponse::error(id.unwrap_or(Id::Null), error::batch_too_large())]);
        }
        let mut ids = Vec::with_capacity(batch.len());
        let mut calls: Vec<BoxFuture<'_, Answer>> = Vec::with_capacity(batch.len());
        for entry in batch {
            match entry {
                Ok(BatchEntry::Call(request)) => {
                    ids.push(request.id().into_owned());
                    calls.push(self.clone().answer(request, deadline).boxed());
                }
                Ok(BatchEntry::Notification(_)) => {}
                Err(invalid) => {
                    let id = invalid.into_parts().1.into_owned();
                    ids.push(id.clone());
                    calls.push(ready(MethodResponse::error(id, error::invalid_request())).boxed());
                }
            }
        }
        // Calls run side by side, answers keep the order of the calls.
        let mut answers = stream::iter(calls).buffered(BATCH_WIDTH);
        let mut done = Vec::with_capacity(ids.len());
        let mut size = 0_usize;
        while size <= self.limits.max_response
            && let Some(answer) = answers.next().await
        {
            size = size.saturating_add(answer.as_ref().len());
            done.push(answer);
        }
        // Past the bound nothing is worked out any more, but each call still learns what became of it.
        drop(answers);
        let rest = ids.into_iter().skip(done.len()).map(|id| MethodResponse::error(id, error::response_too_large()));
        done.extend(rest.collect::<Vec<_>>());
        if done.is_empty() { MethodResponse::notification() } else { array(done) }
    }
}

impl<S> RpcServiceT for Rules<S>
where
    S: RpcServiceT<MethodResponse = Answer, BatchResponse = Answer, NotificationResponse = Answer>
        + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = Answer;
    type NotificationResponse = Answer;
    type BatchResponse = Answer;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = Answer> + Send + 'a {
        self.clone().answer(request, Instant::now() + CALL_TIMEOUT)
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = Answer> + Send + 'a {
        self.clone().answer_batch(batch)
    }

    fn notification<'a>(&self, notification: Notification<'a>) -> impl Future<Output = Answer> + Send + 'a {
        self.inner.notification(notification)
    }
}

/// What is said to a body that is no JSON, or one message that is no request. jsonrpsee calls both the same where
/// there is no id; a batch is taken apart by it, message by message.
pub(crate) fn refuse(body: &[u8]) -> Option<Answer> {
    let Ok(message) = serde_json::from_slice::<&RawValue>(body).map(RawValue::get) else {
        return Some(MethodResponse::error(Id::Null, error::parse_error()));
    };
    /// An id that is there but is none, such as an object, does not make a notification of a call.
    #[derive(Deserialize)]
    struct WithId {
        #[allow(dead_code)]
        id: IgnoredAny,
    }
    let is_notification = || {
        serde_json::from_str::<Notification<'_>>(message).is_ok() && serde_json::from_str::<WithId>(message).is_err()
    };
    if message.starts_with('[') || serde_json::from_str::<Request<'_>>(message).is_ok() || is_notification() {
        return None;
    }
    let id = serde_json::from_str::<InvalidRequest<'_>>(message).map_or(Id::Null, |invalid| invalid.id);
    Some(MethodResponse::error(id, error::invalid_request()))
}

fn array(answers: Vec<Answer>) -> Answer {
    // The bound was kept above, call by call; the builder's own would throw the whole batch away.
    let mut batch = BatchResponseBuilder::new_with_limit(usize::MAX);
    for answer in answers {
        if let Err(refused) = batch.append(answer) {
            return refused;
        }
    }
    MethodResponse::from_batch(batch.finish())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Answers `quick` at once and nothing else ever.
    #[derive(Clone)]
    struct Slow;

    impl RpcServiceT for Slow {
        type MethodResponse = Answer;
        type NotificationResponse = Answer;
        type BatchResponse = Answer;

        fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = Answer> + Send + 'a {
            let quick = request.method_name() == "quick";
            let answer = MethodResponse::error(request.id(), error::server_error("done"));
            if quick { ready(answer).right_future() } else { std::future::pending().left_future() }
        }

        fn batch<'a>(&self, _: Batch<'a>) -> impl Future<Output = Answer> + Send + 'a {
            ready(MethodResponse::notification())
        }

        fn notification<'a>(&self, _: Notification<'a>) -> impl Future<Output = Answer> + Send + 'a {
            ready(MethodResponse::notification())
        }
    }

    fn rules() -> Rules<Slow> {
        let limits = Limits {
            methods: HashSet::from(["quick", "slow"]),
            max_request: 1000,
            max_batch: 10,
            max_response: 10_000,
        };
        Rules { inner: Slow, limits: Arc::new(limits) }
    }

    fn messages(answer: &Answer) -> Vec<Value> {
        let answer: Value = serde_json::from_str(answer.as_ref()).unwrap();
        let message = |answer: &Value| json!([answer["id"], answer["error"]["message"]]);
        answer.as_array().map_or_else(|| vec![message(&answer)], |all| all.iter().map(message).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_ends_in_time_and_so_does_a_batch() {
        let started = Instant::now();
        let answer = rules().call(Request::borrowed("slow", None, Id::Number(1))).await;
        assert_eq!(messages(&answer), [json!([1, "request timed out"])]);
        assert_eq!(started.elapsed(), CALL_TIMEOUT);

        let started = Instant::now();
        let mut batch = Batch::new();
        for (id, method) in [(1, "slow"), (2, "quick"), (3, "slow"), (4, "other")] {
            batch.push(Request::borrowed(method, None, Id::Number(id)));
        }
        let answer = rules().batch(batch).await;
        assert_eq!(
            messages(&answer),
            [
                json!([1, "request timed out"]),
                json!([2, "done"]),
                json!([3, "request timed out"]),
                json!([4, "the method other does not exist/is not available"]),
            ]
        );
        assert_eq!(started.elapsed(), CALL_TIMEOUT, "all of them together");
    }
}
