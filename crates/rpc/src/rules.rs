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
    types::{Id, Request, error::OVERSIZED_RESPONSE_CODE},
};
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
