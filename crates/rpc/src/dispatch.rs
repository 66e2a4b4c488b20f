//! One API behind one transport: a JSON text goes in, its answer comes out, by the rules and bounds that hold for all
//! transports.

use std::sync::Arc;

use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use jsonrpsee::{
    core::middleware::RpcServiceBuilder,
    server::{
        BatchRequestConfig, HttpBody, MethodResponse, Methods, ServerBuilder, ServerConfig, ServerHandle, StopHandle,
        http::response::from_method_response, stop_channel,
    },
};
use tower::Service;
use tracing::warn;

use crate::{
    error,
    rules::{self, Limits, Rules},
};

/// The methods of the modules that are on, and their bounds.
#[derive(Clone)]
pub(crate) struct Dispatch {
    methods: Methods,
    limits: Arc<Limits>,
    config: ServerConfig,
    /// jsonrpsee wants one; connections are stopped here and not by it.
    never: StopHandle,
    _keep_alive: ServerHandle,
}

impl Dispatch {
    pub(crate) fn new(methods: Methods, limits: Limits) -> Self {
        let (never, keep_alive) = stop_channel();
        let config = ServerConfig::builder()
            .http_only()
            .max_request_body_size(u32::try_from(limits.max_request).unwrap_or(u32::MAX))
            .max_response_body_size(u32::try_from(limits.max_response).unwrap_or(u32::MAX))
            // A batch is counted in the rules, which answer as geth does.
            .set_batch_request_config(BatchRequestConfig::Unlimited)
            .build();
        Self { methods, limits: Arc::new(limits), config, never, _keep_alive: keep_alive }
    }

    /// Longest text that is taken, in bytes.
    pub(crate) fn max_request(&self) -> usize {
        self.limits.max_request
    }

    /// The answer to one text with its line break, as geth ends it; nothing for what has no answer.
    pub(crate) async fn answer(&self, text: Vec<u8>) -> Vec<u8> {
        let answer = match rules::refuse(&text) {
            None => self.call(text).await,
            Some(refused) => from_method_response(refused),
        };
        let Ok(body) = answer.into_body().collect().await else { return internal_error() };
        // The only holder of these bytes: no copy is made.
        let mut body = Vec::from(body.to_bytes());
        // jsonrpsee's way to say that there is nothing to say: to a notification there is no answer.
        if body == b"null" {
            body.clear();
        } else {
            body.push(b'\n');
        }
        body
    }

    async fn call(&self, text: Vec<u8>) -> Response<HttpBody> {
        let mut request = Request::new(HttpBody::from(text));
        *request.method_mut() = http::Method::POST;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let limits = self.limits.clone();
        let rules = RpcServiceBuilder::new().layer_fn(move |inner| Rules { inner, limits: limits.clone() });
        let mut service = ServerBuilder::with_config(self.config.clone())
            .set_rpc_middleware(rules)
            .to_service_builder()
            .build(self.methods.clone(), self.never.clone());
        match service.call(request).await {
            Ok(answer) => answer,
            Err(error) => {
                warn!(%error, "JSON-RPC request failed");
                Response::new(HttpBody::from(internal_error()))
            }
        }
    }
}

fn internal_error() -> Vec<u8> {
    text(error::internal_error())
}

/// An answer that is an error without an id.
pub(crate) fn text(error: jsonrpsee::types::ErrorObjectOwned) -> Vec<u8> {
    let answer = MethodResponse::error(jsonrpsee::types::Id::Null, error);
    let mut text = answer.as_ref().to_owned().into_bytes();
    text.push(b'\n');
    text
}
